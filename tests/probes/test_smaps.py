from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hfmemdebug.probes.smaps import Memory, parse_rollup, parse_smaps

KB = 1024
ROLLUP = b"""55f145ae3000-7fff69cb3000 ---p 00000000 00:00 0                          [rollup]
Rss:                1784 kB
Pss:                 283 kB
Pss_Dirty:           112 kB
Pss_Anon:            112 kB
Pss_File:            171 kB
Pss_Shmem:             0 kB
Shared_Clean:       1630 kB
Shared_Dirty:          2 kB
Private_Clean:        40 kB
Private_Dirty:       112 kB
Anonymous:           112 kB
LazyFree:              4 kB
Swap:                  8 kB
SwapPss:               6 kB
Locked:                1 kB
"""


def mapping(header: str, **sizes: int) -> bytes:
    lines = "".join(f"{name}: {size:8} kB\n" for name, size in sizes.items())
    return f"{header}\nSize: 99 kB\n{lines}VmFlags: rd mr mw me\n".encode()


def test_rollup() -> None:
    assert parse_rollup(ROLLUP) == Memory(
        rss=1784 * KB, pss=283 * KB, pss_anon=112 * KB, pss_file=171 * KB, pss_shmem=0, shared=1632 * KB,
        private_dirty=112 * KB, anonymous=112 * KB, lazy_free=4 * KB, locked=KB, swap=8 * KB, swap_pss=6 * KB,
    )  # fmt: skip


def test_what_an_old_kernel_does_not_tell_is_none() -> None:
    memory = parse_rollup(b"Rss: 10 kB\nPss: 5 kB\n")
    assert (memory.rss, memory.pss_anon, memory.swap) == (10 * KB, None, None)


def test_mappings_are_put_to_their_kinds_and_files() -> None:
    text = (
        mapping(
            "7f00-7f10 r--p 00000000 fe:00 7                          /d/a b.arrow",
            Rss=40,
            Pss=20,
            Anonymous=0,
        )
        + mapping("7f10-7f20 rw-p 00000000 fe:00 7        /d/a b.arrow", Rss=20, Pss=20, Anonymous=10)
        + mapping(
            "7f20-7f30 rw-p 00000000 00:00 0                          [heap]", Rss=30, Pss=30, Anonymous=30
        )
        + mapping("7f30-7f40 rw-s 00000000 00:01 9     /dev/shm/t (deleted)", Rss=16, Pss=8, Anonymous=0)
        + mapping("7f40-7f50 r-xp 00000000 fe:00 8     /lib/x.so", Rss=4, Pss=2, Anonymous=0)
    )
    found = parse_smaps(text, lambda path: path.startswith("/dev/shm/"))
    total = found.total
    assert (total.rss, total.pss) == (110 * KB, 80 * KB)
    assert (total.pss_anon, total.pss_file, total.pss_shmem) == (40 * KB, 32 * KB, 8 * KB)
    arrow, shm, library = found.files
    assert (arrow.path, arrow.memory.rss, arrow.ranges) == (
        "/d/a b.arrow",
        60 * KB,
        ((0x7F00, 0x7F10), (0x7F10, 0x7F20)),
    )
    assert (shm.path, shm.deleted, shm.writable) == ("/dev/shm/t", True, True)
    assert library.executable
    assert not arrow.executable


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
def test_both_files_agree_on_a_process_that_stands_still() -> None:
    import subprocess

    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # When it answers it has loaded all its libraries, and then it waits.
            process.stdin.write(b"ready\n")
            process.stdin.flush()
            process.stdout.readline()
            detailed = parse_smaps(Path(f"/proc/{process.pid}/smaps").read_bytes(), lambda path: False).total
            summed = parse_rollup(Path(f"/proc/{process.pid}/smaps_rollup").read_bytes())
        finally:
            process.kill()
    assert detailed.rss is not None
    assert summed.rss is not None
    # Libraries that others map too are divided by how many they are at that moment.
    assert abs(detailed.rss - summed.rss) <= 64 * KB
    assert abs((detailed.pss_anon or 0) - (summed.pss_anon or 0)) <= 16 * KB
