from __future__ import annotations

import mmap
import os
import subprocess
from pathlib import Path

import pytest

from hfmemdebug.probes.maps import (
    Copies,
    Mapping,
    Memory,
    copies_by_path,
    mappings_of,
    parse_maps,
    read_mappings,
    read_rollup,
    split_pss,
    sum_memory,
)

SMAPS_3_10 = b"""\
00400000-006d7000 r-xp 00000000 fd:00 134332405                          /usr/bin/python2.7
Size:               2908 kB
Rss:                1580 kB
Pss:                 790 kB
Shared_Clean:       1580 kB
Shared_Dirty:          0 kB
Private_Clean:         0 kB
Private_Dirty:         0 kB
Referenced:         1580 kB
Anonymous:             0 kB
AnonHugePages:         0 kB
Swap:                  0 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Locked:                0 kB
VmFlags: rd ex mr mw me dw sd
018cd000-01f0b000 rw-p 00000000 00:00 0                                  [heap]
Size:               6392 kB
Rss:                6200 kB
Private_Dirty:      6200 kB
Anonymous:          6200 kB
Swap:                100 kB
VmFlags: rd wr mr mw me ac sd
"""

SMAPS_6 = b"""\
7f0de4000000-7f0e3f000000 r--s 00000000 08:01 1311243                    /data/my files/data-00000-of-00002.arrow
Size:            1490944 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:             1401000 kB
Pss:             1401000 kB
Pss_Dirty:             0 kB
Shared_Clean:          0 kB
Shared_Dirty:          0 kB
Private_Clean:   1400000 kB
Private_Dirty:      1000 kB
Referenced:      1401000 kB
Anonymous:             0 kB
KSM:                   0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Swap:                  0 kB
SwapPss:               0 kB
Locked:                0 kB
THPeligible:           0
ProtectionKey:         0
VmFlags: rd mr mw me ms sd
7f0de3f00000-7f0de4000000 rw-p 00000000 08:01 99                         /data/two\\012lines.bin (deleted)
Rss:                1024 kB
Private_Dirty:       512 kB
Anonymous:           512 kB
Swap:                  0 kB
VmFlags: rd wr mr mw me ac sd
7f0de3e00000-7f0de3f00000 rw-s 00000000 00:01 4711                       /memfd:ring (deleted)
Rss:                   4 kB
Private_Dirty:         4 kB
Anonymous:             0 kB
Swap:                  0 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Size:                  4 kB
Rss:                   0 kB
Anonymous:             0 kB
Swap:                  0 kB
"""


def test_an_old_kernel() -> None:
    python, heap = parse_maps(SMAPS_3_10)
    sizes = Memory(
        rss=1580 * 1024, pss=790 * 1024, shared=1580 * 1024, private_dirty=0, anonymous=0, locked=0, swap=0
    )
    device = os.makedev(0xFD, 0)
    assert python == Mapping(0x400000, 0x6D7000, "r-xp", device, 134332405, "/usr/bin/python2.7", sizes)
    assert python.is_file
    assert python.clean
    assert heap.path == "[heap]"
    assert not heap.is_file
    assert not heap.clean
    assert heap.memory.swap == 100 * 1024


def test_a_new_kernel() -> None:
    arrow, deleted, memfd, vsyscall = parse_maps(SMAPS_6)
    assert arrow.path == "/data/my files/data-00000-of-00002.arrow"
    assert arrow.memory.rss == 1401000 * 1024
    assert arrow.clean, "page cache that is not yet written back is no private copy"
    assert not arrow.may_hold_copies
    assert deleted.path == "/data/two\\012lines.bin (deleted)"
    assert not deleted.clean
    assert deleted.may_hold_copies
    assert not memfd.may_hold_copies
    assert vsyscall.path == "[vsyscall]"
    assert not vsyscall.is_file
    assert vsyscall.end == 0xFFFFFFFFFF601000


def test_without_sizes_nothing_is_known_to_be_clean() -> None:
    (mapping,) = parse_maps(b"7f11d5a28000-7f11d5a4e000 r--s 00000000 fe:01 131 /data/a.arrow\n")
    assert mapping.memory.rss is None
    assert mapping.memory.anonymous is None
    assert not mapping.clean


def test_swapped_copies_are_not_clean() -> None:
    (mapping,) = parse_maps(
        b"7f00-7f01 r--p 00000000 fe:01 1 /data/a\nRss: 0 kB\nAnonymous: 0 kB\nSwap: 4 kB\n"
    )
    assert not mapping.clean


@pytest.mark.parametrize("text", [b"", b"no mapping\n", b"Rss: 5 kB\n"])
def test_no_mappings(text: bytes) -> None:
    assert parse_maps(text) == ()


NAMES = [
    "plain.arrow",
    "with space.arrow",
    "new\nline.arrow",
    "unicode\u2028separator.arrow",
    "back\\slash",
    "é",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_mapped_file_is_found_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x" * 8 * mmap.PAGESIZE)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:: mmap.PAGESIZE] == b"x" * 8
        (found,) = mappings_of(read_mappings(), [str(path)])
    assert found.memory.rss == 8 * mmap.PAGESIZE
    assert found.end - found.start == 8 * mmap.PAGESIZE
    assert found.clean


def test_a_file_reached_through_links_is_found(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "blob").write_bytes(b"x" * mmap.PAGESIZE)
    (tmp_path / "cache").symlink_to("disk")
    (tmp_path / "disk" / "data.arrow").symlink_to("blob")
    path = tmp_path / "cache" / "data.arrow"
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ):
        assert len(mappings_of(read_mappings(), [str(path)])) == 1
        assert mappings_of(read_mappings(), [str(tmp_path / "cache")]) == ()


def test_other_files_are_not_found(tmp_path: Path) -> None:
    for name in ("a", "ab"):
        (tmp_path / name).write_bytes(b"x" * mmap.PAGESIZE)
    with (tmp_path / "ab").open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ):
        assert mappings_of(read_mappings(), [str(tmp_path / "a")]) == ()


def test_a_written_private_page_makes_a_mapping_unclean(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"x" * 4 * mmap.PAGESIZE)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        assert mapped[0] == ord("x")
        (before,) = mappings_of(read_mappings(), [str(path)])
        mapped[0] = ord("y")
        (after,) = mappings_of(read_mappings(), [str(path)])
    assert before.clean
    assert not after.clean
    assert after.memory.anonymous == os.sysconf("SC_PAGE_SIZE")
    assert copies_by_path([before])[str(path)] == Copies(0, 4 * mmap.PAGESIZE)
    assert copies_by_path([after, after])[str(path)] == Copies(2 * mmap.PAGESIZE, 8 * mmap.PAGESIZE)


def test_written_pages_of_a_shared_mapping_are_no_copies(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"x" * 4 * mmap.PAGESIZE)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:] = b"y" * 4 * mmap.PAGESIZE
        assert str(path) not in copies_by_path(read_mappings())


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
    (rollup,) = parse_maps(ROLLUP)
    assert rollup.memory == Memory(
        rss=1784 * KB, pss=283 * KB, pss_anon=112 * KB, pss_file=171 * KB, pss_shmem=0, shared=1632 * KB,
        private_dirty=112 * KB, anonymous=112 * KB, lazy_free=4 * KB, locked=KB, swap=8 * KB, swap_pss=6 * KB,
    )  # fmt: skip


def test_what_an_old_kernel_does_not_tell_is_none() -> None:
    (rollup,) = parse_maps(mapping("7f00-7f10 ---p 00000000 00:00 0 [rollup]", Rss=10, Pss=5))
    memory = rollup.memory
    assert (memory.rss, memory.pss_anon, memory.swap) == (10 * KB, None, None)


def test_mappings_are_put_to_their_kinds() -> None:
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
    mappings = parse_maps(text)
    for each in mappings:
        split_pss(each, lambda path: path.startswith("/dev/shm/"))
    total = sum_memory(mappings)
    assert (total.rss, total.pss) == (110 * KB, 80 * KB)
    assert (total.pss_anon, total.pss_file, total.pss_shmem) == (40 * KB, 32 * KB, 8 * KB)
    assert sum_memory([]) == Memory()


def test_both_files_agree_on_a_process_that_stands_still() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # When it answers it has loaded all its libraries, and then it waits.
            process.stdin.write(b"ready\n")
            process.stdin.flush()
            process.stdout.readline()
            mappings = read_mappings(process.pid)
            summed = read_rollup(process.pid)
        finally:
            process.kill()
    for each in mappings:
        split_pss(each, lambda path: False)
    detailed = sum_memory(mappings)
    assert detailed.rss is not None
    assert summed.rss is not None
    # Libraries that others map too are divided by how many they are at that moment.
    assert abs(detailed.rss - summed.rss) <= 64 * KB
    assert abs((detailed.pss_anon or 0) - (summed.pss_anon or 0)) <= 16 * KB
