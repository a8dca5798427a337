"""Which files a program maps, and of whose pages it made copies, as this process sees it of itself."""

from __future__ import annotations

import mmap
from pathlib import Path

from hfmemdebug.measure.mapped import MappedSince
from hfmemdebug.recording.end import CopiedFile

MB = 1024**2


def test_a_file_of_data_that_was_mapped_and_read_since(tmp_path: Path) -> None:
    read, unread, earlier = (tmp_path / name for name in ("read", "unread", "earlier"))
    for path in (read, unread, earlier):
        path.write_bytes(b"x" * 4 * MB)
    with (
        earlier.open("rb") as first,
        mmap.mmap(first.fileno(), 0, prot=mmap.PROT_READ) as before,
        read.open("rb") as second,
        unread.open("rb") as third,
    ):
        since = MappedSince()
        with (
            mmap.mmap(second.fileno(), 0, prot=mmap.PROT_READ) as mapped,
            mmap.mmap(third.fileno(), 0, prot=mmap.PROT_READ),
        ):
            assert before[:: mmap.PAGESIZE] == mapped[:: mmap.PAGESIZE]
            assert since.new_files() == (str(read),)
        assert since.new_files() == ()
        assert since.copied() == ()


def test_copies_are_named_by_their_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"x" * 4 * MB)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        mapped[: mmap.PAGESIZE] = b"y" * mmap.PAGESIZE
        since = MappedSince()
        assert since.copied() == ()
        mapped[:] = b"y" * 4 * MB
        mapped.flush()
        (copies,) = since.copied()
    assert copies == CopiedFile(str(path), 4 * MB - mmap.PAGESIZE, 4 * MB)
