from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from hfmemdebug.probes.maps import Mapping, Memory
from hfmemdebug.supervise.files import DataFile, describe, is_data, kind_of, memory_paths, read_memory


def mapped(path: str, rss: int = 1 << 20, *, perms: str = "r--p", inode: int = 1) -> list[Mapping]:
    """The one mapping of a file."""
    return [Mapping(0, 4096, perms, 1, inode, path, Memory(rss=rss, pss=rss))]


@pytest.mark.parametrize(
    ("path", "kind", "fingerprint"),
    [
        (
            "/c/datasets/squad/plain_text/0.0.0/7b6d2458/cache-01234567abcdef89.arrow",
            "map cache",
            "01234567abcdef89",
        ),
        ("/x/cache-01234567abcdef89_00003_of_00008.arrow", "map cache", "01234567abcdef89"),
        ("/x/my-ds/train/data-00000-of-00005.arrow", "saved dataset", None),
        (
            "/c/datasets/me___ds/default/0.0.0/7b6d24580cb5/ds-train-00000-of-00002.arrow",
            "prepared dataset",
            None,
        ),
        ("/x/cache-notahash.arrow", "Arrow file", None),
        ("/x/tokens.bin", "file", None),
    ],
)
def test_kinds(path: str, kind: str, fingerprint: str | None) -> None:
    assert kind_of(path) == (kind, fingerprint)


def test_what_is_data() -> None:
    assert is_data(mapped("/x/data.arrow", rss=0))
    assert is_data(mapped("/x/tokens.bin"))
    assert not is_data(mapped("/x/tokens.bin", rss=4096))
    assert not is_data(mapped("/x/lib/libarrow.so.2600"))
    assert not is_data(mapped("/x/bin/python3.11", perms="r-xp"))
    assert not is_data(mapped("/usr/lib/locale/C.utf8/LC_CTYPE"))
    assert not is_data(mapped("/memfd:tensor"))


def test_a_file_that_is_gone_has_no_size(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.arrow")
    file = describe(os.getpid(), mapped(gone), lambda path: False)
    assert file.size_bytes is None
    assert file.resident_bytes == 1 << 20


def test_another_file_under_the_same_name_is_not_it(tmp_path: Path) -> None:
    path = tmp_path / "new.arrow"
    path.write_bytes(b"other")
    inode = path.stat().st_ino
    sizes = [
        describe(os.getpid(), mapped(str(path), inode=number), lambda path: False).size_bytes
        for number in (inode, inode + 1)
    ]
    assert sizes == [5, None]


def test_memory_backed_paths() -> None:
    is_memory = memory_paths(os.getpid())
    for path in ("/dev/shm/x.arrow", "/memfd:x (deleted)", "/SYSV00000000 (deleted)", "/dev/zero (deleted)"):
        assert is_memory(path)
    assert not is_memory("/usr/lib/x.so")


def test_all_mappings_of_a_file_are_one(tmp_path: Path) -> None:
    path = tmp_path / "data.arrow"
    path.write_bytes(b"x" * 8 * mmap.PAGESIZE)

    def read() -> tuple[Memory, DataFile]:
        total, files = read_memory(os.getpid())
        (file,) = (file for file in files if file.path == str(path))
        return total, file

    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as again:
            assert mapped[:] == again[:]
            total, file = read()
            assert file.resident_bytes == file.again_bytes == 8 * mmap.PAGESIZE
            assert len(file.ranges) == 2
            assert not file.copied
            assert (total.pss_file or 0) >= file.resident_bytes
        mapped[0] = ord("y")
        assert read()[1].copied
