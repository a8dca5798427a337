from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from hfmemdebug.probes.maps import Copies, Mapping, copies_by_path, mappings_of, parse_maps
from hfmemdebug.probes.process import read_mappings

SMAPS_3_10 = """\
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

SMAPS_6 = """\
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
    assert python == Mapping(
        0x400000, 0x6D7000, "r-xp", 134332405, "/usr/bin/python2.7", 1580 * 1024, 0, 0, 0
    )
    assert python.is_file
    assert python.clean
    assert heap.path == "[heap]"
    assert not heap.is_file
    assert not heap.clean
    assert heap.swap == 100 * 1024


def test_a_new_kernel() -> None:
    arrow, deleted, memfd, vsyscall = parse_maps(SMAPS_6)
    assert arrow.path == "/data/my files/data-00000-of-00002.arrow"
    assert arrow.rss == 1401000 * 1024
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
    (mapping,) = parse_maps("7f11d5a28000-7f11d5a4e000 r--s 00000000 fe:01 131 /data/a.arrow\n")
    assert mapping.rss is None
    assert mapping.anonymous is None
    assert not mapping.clean


def test_swapped_copies_are_not_clean() -> None:
    (mapping,) = parse_maps(
        "7f00-7f01 r--p 00000000 fe:01 1 /data/a\nRss: 0 kB\nAnonymous: 0 kB\nSwap: 4 kB\n"
    )
    assert not mapping.clean


@pytest.mark.parametrize("text", ["", "no mapping\n", "Rss: 5 kB\n"])
def test_no_mappings(text: str) -> None:
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
    assert found.rss == 8 * mmap.PAGESIZE
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
    assert after.anonymous == os.sysconf("SC_PAGE_SIZE")
    assert copies_by_path([before])[str(path)] == Copies(0, 4 * mmap.PAGESIZE)
    assert copies_by_path([after, after])[str(path)] == Copies(2 * mmap.PAGESIZE, 8 * mmap.PAGESIZE)


def test_written_pages_of_a_shared_mapping_are_no_copies(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"x" * 4 * mmap.PAGESIZE)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:] = b"y" * 4 * mmap.PAGESIZE
        assert str(path) not in copies_by_path(read_mappings())
