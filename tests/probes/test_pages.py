from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfmemdebug.probes.cpython import allocated_blocks
from hfmemdebug.probes.maps import Mapping, Memory, mappings_of, read_mappings
from hfmemdebug.probes.pages import MADV_DONTNEED, MADV_PAGEOUT, advise, cached_bytes

PAGE = mmap.PAGESIZE
PAGES = 256


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    with path.open("wb") as file:
        file.write(b"".join(b"%07d\n" % index * (PAGE // 8) for index in range(PAGES)))
        os.fsync(file.fileno())
    return path


def found(path: Path) -> Mapping:
    (mapping,) = mappings_of(read_mappings(), [str(path)])
    return mapping


def touch(mapped: mmap.mmap) -> bytes:
    return mapped[::PAGE]


def page_out(mapped: mmap.mmap, path: Path) -> None:
    mapping = found(path)
    assert advise([mapping], MADV_PAGEOUT) is None
    if cached_bytes(str(path)):
        # What was written a moment ago is not on the kernel's lists yet; it is when it is read again.
        touch(mapped)
        assert advise([mapping], MADV_PAGEOUT) is None


def test_clean_pages_leave_the_process_and_come_back_the_same(data: Path) -> None:
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        before = bytes(mapped)
        mapping = found(data)
        assert mapping.memory.rss == PAGES * PAGE
        assert advise([mapping], MADV_DONTNEED) is None
        assert found(data).memory.rss == 0
        assert bytes(mapped) == before


def test_paged_out_pages_leave_the_page_cache(data: Path) -> None:
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        before = bytes(mapped)
        assert cached_bytes(str(data)) == PAGES * PAGE
        page_out(mapped, data)
        after = cached_bytes(str(data))
        assert after is not None
        assert after < PAGES * PAGE // 2
        assert bytes(mapped) == before
        assert cached_bytes(str(data)) == PAGES * PAGE


def test_unmapped_is_not_freed(data: Path) -> None:
    """A fall of RSS alone shows nothing: the page cache still has it all."""
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        touch(mapped)
        mapping = found(data)
        advise([mapping], MADV_DONTNEED)
        assert found(data).memory.rss == 0
        assert cached_bytes(str(data)) == PAGES * PAGE


@pytest.mark.parametrize("advice", [MADV_DONTNEED, MADV_PAGEOUT])
def test_private_copies_survive(data: Path, advice: int) -> None:
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        touch(mapped)
        mapped[5 * PAGE] = ord("!")
        mapping = found(data)
        assert not mapping.clean
        assert advise([mapping], advice) is None
        assert mapped[5 * PAGE] == ord("!")
        assert found(data).memory.rss == PAGES * PAGE, "a mapping that holds copies is left alone"


def test_a_copy_that_is_made_after_the_look_survives(data: Path) -> None:
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        touch(mapped)
        mapping = found(data)
        assert mapping.clean
        mapped[5 * PAGE] = ord("!")
        advise([mapping], MADV_DONTNEED)
        assert mapped[5 * PAGE] == ord("!")


def test_written_pages_of_a_shared_mapping_reach_the_file(data: Path) -> None:
    with data.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        touch(mapped)
        mapped[5 * PAGE] = ord("!")
        for advice in (MADV_DONTNEED, MADV_PAGEOUT):
            advise([found(data)], advice)
        assert mapped[5 * PAGE] == ord("!")
    assert data.read_bytes()[5 * PAGE] == ord("!")


def test_refusal_is_told_in_words(data: Path) -> None:
    gone = Mapping(PAGE, 2 * PAGE, "r--s", 1, 1, "/nowhere", Memory(rss=PAGE, anonymous=0, swap=0))
    assert "memory" in (advise([gone], MADV_DONTNEED) or "")
    assert cached_bytes("/nowhere") is None
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ):
        assert "Invalid" in (advise([found(data)], 9999) or "")


def test_nothing_to_ask_for(tmp_path: Path) -> None:
    assert advise([], MADV_PAGEOUT) is None
    (tmp_path / "empty").touch()
    assert cached_bytes(str(tmp_path / "empty")) == 0


def test_only_resident_pages_count(data: Path) -> None:
    with data.open("rb") as file:
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            touch(mapped)
            page_out(mapped, data)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            mapped.madvise(mmap.MADV_RANDOM)
            assert cached_bytes(str(data)) == 0
            assert mapped[7 * PAGE]
            assert cached_bytes(str(data)) == PAGE


def test_asking_leaves_nothing_behind_where_the_collector_is_off() -> None:
    program = """
import gc, sys
from hfmemdebug.probes.pages import MADV_PAGEOUT, advise
advise([], MADV_PAGEOUT)
gc.collect(); gc.disable()
before = sys.getallocatedblocks()
for _ in range(100):
    advise([], MADV_PAGEOUT)
print(sys.getallocatedblocks() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert abs(int(done.stdout)) < 20
    assert allocated_blocks()
