from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from hfmemdebug.probes.allocators import ArrowProbe, MallocProbe, find_allocator, without_thread_caches
from hfmemdebug.probes.process import ProcessProbe

DEBIAN_10 = """\
55d0c8a00000-55d0c8c9d000 r-xp 00000000 08:01 1837 /usr/bin/python3.7
55d0ca5b1000-55d0ca7a4000 rw-p 00000000 00:00 0                          [heap]
7f3e0c1d2000-7f3e0c1f4000 r--p 00000000 08:01 2098 /usr/lib/x86_64-linux-gnu/libc-2.28.so
7f3e0c1f4000-7f3e0c33c000 r-xp 00022000 08:01 2098 /usr/lib/x86_64-linux-gnu/libc-2.28.so
7ffd1c2e8000-7ffd1c309000 rw-p 00000000 00:00 0                          [stack]
"""
DEBIAN_12 = """\
7f11d5a28000-7f11d5a4e000 r--p 00000000 fe:01 131 /usr/lib/x86_64-linux-gnu/libc.so.6
7f11d5c26000-7f11d5c27000 r--p 00000000 fe:01 128 /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
"""
ALPINE = """\
7f6c04f3b000-7f6c04f50000 r--p 00000000 00:2f 611 /lib/ld-musl-x86_64.so.1
7f6c04f50000-7f6c04fa8000 r-xp 00015000 00:2f 611 /lib/ld-musl-x86_64.so.1
"""
LIBRARIES_OF_ITS_OWN = """\
7f11d0000000-7f11d5a4e000 r--p 00000000 fe:01 991 /opt/libjemalloc/lib/libarrow.so.2600
7f11d5900000-7f11d5a4e000 r--p 00000000 fe:01 992 /home/u/libtcmalloc.sources/notes.txt
"""


def preloaded(library: str) -> str:
    return f"7f0a0b000000-7f0a0b0a0000 r-xp 00000000 fe:01 77 {library}\n{DEBIAN_12}"


@pytest.mark.parametrize(
    ("maps", "allocator"),
    [
        (DEBIAN_10, "glibc"),
        (DEBIAN_12, "glibc"),
        (ALPINE, "musl"),
        (preloaded("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"), "jemalloc"),
        (preloaded("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4.5.10"), "tcmalloc"),
        (preloaded("/usr/lib/libtcmalloc.so.4 (deleted)"), "tcmalloc"),
        (preloaded("/opt/lib/libmimalloc-secure.so.2.1"), "mimalloc"),
        (preloaded("/opt/a b/libmimalloc.so.2 (deleted)"), "mimalloc"),
        (LIBRARIES_OF_ITS_OWN + DEBIAN_12, "glibc"),
        ("", "unknown"),
    ],
)
def test_the_allocator_is_found_in_the_maps(maps: str, allocator: str) -> None:
    assert find_allocator(maps) == allocator


@pytest.mark.parametrize(
    "maps", [ALPINE, preloaded("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"), ""], ids=["musl", "je", "?"]
)
def test_another_malloc_is_not_read_and_the_reason_is_given(maps: str) -> None:
    probe = MallocProbe(maps)
    assert probe.read() is None
    assert probe.allocator in (probe.why_not or "")
    assert probe.trim() is False


@pytest.mark.parametrize("size", [64, 10 * 1024**2])
def test_what_is_allocated_is_seen_and_its_return_as_well(size: int) -> None:
    # In a process of its own: nothing else allocates between the readings. Small blocks come from the
    # heap and large ones from mappings, which mallinfo2 counts apart.
    program = f"""
import ctypes, json
from hfmemdebug.probes.allocators import MallocProbe
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
probe = MallocProbe()
held = [0] * 1000
for index in range(1000 if {size} < 4096 else 1):
    held[index] = libc.malloc({size}); libc.free(held[index])
before = probe.read()
for index in range(1000 if {size} < 4096 else 1):
    held[index] = libc.malloc({size})
during = probe.read()
for index in range(1000 if {size} < 4096 else 1):
    libc.free(held[index])
after = probe.read()
print(json.dumps([before.in_use, during.in_use, after.in_use, before.free, during.free]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    before, during, after, *free = json.loads(done.stdout)
    asked = size * (1000 if size < 4096 else 1)
    assert asked <= during - before < 1.3 * asked + 8192
    assert abs(after - before) < 8192
    assert min(free) >= 0


@pytest.mark.parametrize(
    ("name", "pattern"), [("jemalloc", "libjemalloc.so.*"), ("tcmalloc", "libtcmalloc_minimal.so.*")]
)
def test_a_preloaded_malloc_is_asked_in_its_own_way(name: str, pattern: str) -> None:
    found = sorted(Path("/usr/lib").glob(f"*/{pattern}"))
    if not found:
        pytest.skip(f"{name} is not installed (Debian: libjemalloc2, libtcmalloc-minimal4)")
    program = """
import ctypes, json
from hfmemdebug.probes.allocators import MallocProbe
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = libc.free.argtypes = [ctypes.c_size_t]
probe = MallocProbe()
held = [0] * 1000
readings = [probe.read(), probe.read()]
for index in range(1000):
    held[index] = libc.malloc(64)
readings.append(probe.read())
for index in range(1000):
    libc.free(held[index])
assert probe.trim()
readings.append(probe.read())
print(json.dumps([probe.allocator, probe.why_not, *(reading.in_use for reading in readings)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LD_PRELOAD": str(found[0])},
    )
    allocator, why_not, first, before, during, after = json.loads(done.stdout)
    assert (allocator, why_not) == (name, None)
    assert abs(before - first) < 1024
    assert 64_000 <= during - before < 66_000
    assert abs(after - before) < 2048


def test_trim_is_carried_out() -> None:
    probe = MallocProbe()
    assert probe.allocator == "glibc"
    assert probe.why_not is None
    assert probe.trim() is True
    # It does not touch what is in use.
    block = ctypes.create_string_buffer(b"kept", 1024)
    probe.trim()
    assert block.value == b"kept"


@pytest.mark.parametrize("seed", range(3))
def test_what_malloc_has_in_use_after_a_trim_does_not_move_by_itself(seed: int) -> None:
    """On a torn heap, after the same work again and again; what the thread's cache holds counts as in use."""
    program = f"""
import ctypes, json, random
from hfmemdebug.probes.allocators import MallocProbe
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
dice, probe, readings = random.Random({seed}), MallocProbe(), []
torn = [libc.malloc(dice.choice([24, 40, 72, 100, 184, 200, 300, 500, 1000, 3000])) for _ in range(20000)]
dice.shuffle(torn)
for chunk in torn[:12000]:
    libc.free(chunk)
for epoch in range(20):
    for index in range(25):
        chunks = [libc.malloc(dice.randrange(1, 1500)) for _ in range(300)]
        dice.shuffle(chunks)
        for chunk in chunks:
            libc.free(chunk)
    probe.trim()
    readings.append(probe.read().in_use)
print(json.dumps([after - before for before, after in zip(readings, readings[1:])]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    moved = json.loads(done.stdout)
    assert max(map(abs, moved)) <= 64, moved


def test_what_another_thread_keeps_for_itself_is_not_in_use() -> None:
    program = """
import ctypes, threading
from hfmemdebug.probes.allocators import MallocProbe
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
begin, end = threading.Barrier(2), threading.Barrier(2)
def work():
    while True:
        begin.wait()
        for size in range(24, 1000, 16):
            chunks = [libc.malloc(size) for _ in range(7)]
            for chunk in chunks:
                libc.free(chunk)
        end.wait()
threading.Thread(target=work, daemon=True).start()
probe = MallocProbe()
probe.trim()
before = probe.read().in_use
begin.wait()
end.wait()
probe.trim()
print(probe.read().in_use - before)
"""
    moved = []
    for environ in (dict(os.environ), without_thread_caches(os.environ)):
        run = [sys.executable, "-c", program]
        moved.append(int(subprocess.run(run, capture_output=True, text=True, check=True, env=environ).stdout))
    assert moved[0] > 100_000 > 2000 > moved[1], moved


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        (None, "glibc.malloc.tcache_count=0"),
        ("glibc.malloc.arena_max=2", "glibc.malloc.arena_max=2:glibc.malloc.tcache_count=0"),
        ("glibc.malloc.tcache_count=3", "glibc.malloc.tcache_count=3"),
    ],
)
def test_the_users_own_tunables_stay(said: str | None, becomes: str) -> None:
    given = {"HOME": "/", **({} if said is None else {"GLIBC_TUNABLES": said})}
    assert without_thread_caches(given) == {"HOME": "/", "GLIBC_TUNABLES": becomes}


SIZE = 5 * 1024**2


@pytest.mark.parametrize("backend", pyarrow.supported_memory_backends())
def test_a_buffer_is_seen_in_whichever_pool(backend: str) -> None:
    probe = ArrowProbe()
    pool = getattr(pyarrow, f"{backend}_memory_pool")()
    before = probe.in_use()
    buffer = pyarrow.allocate_buffer(SIZE, memory_pool=pool)
    assert probe.in_use() - before >= SIZE
    del buffer
    assert probe.in_use() == before


def test_what_the_default_pool_held_counts_after_it_was_switched() -> None:
    probe = ArrowProbe()
    default = pyarrow.default_memory_pool()
    other = next(
        getattr(pyarrow, f"{name}_memory_pool")()
        for name in pyarrow.supported_memory_backends()
        if name != default.backend_name
    )
    before = probe.in_use()
    held = pyarrow.allocate_buffer(SIZE)
    pyarrow.set_memory_pool(other)
    try:
        assert pyarrow.total_allocated_bytes() < SIZE
        assert probe.in_use() - before >= SIZE
    finally:
        pyarrow.set_memory_pool(default)
    assert held.size == SIZE


def test_what_arrow_has_from_malloc_is_not_counted_twice() -> None:
    probe = ProcessProbe()
    probe.watch_arrow()

    def reading() -> dict[str, Any]:
        # It is left out for a while where it took long.
        while (read := probe.read())["malloc"] is None:
            time.sleep(0.01)
        return read

    before = reading()
    held = pyarrow.allocate_buffer(SIZE, memory_pool=pyarrow.system_memory_pool())
    after = reading()
    assert after["arrow"] - before["arrow"] == held.size
    assert after["malloc"] - before["malloc"] < SIZE // 10
    assert probe.reader_of("malloc")() < after["malloc"] + SIZE // 10


def test_releasing_keeps_what_is_in_use() -> None:
    probe = ArrowProbe()
    array = pyarrow.array(range(100_000))
    before = probe.in_use()
    probe.release_unused()
    assert probe.in_use() == before
    assert array.sum().as_py() == 4999950000
