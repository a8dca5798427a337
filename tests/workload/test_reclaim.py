from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfmemdebug.probes.mounts import describe_files
from hfmemdebug.probes.process import ProcessProbe
from hfmemdebug.workload.reclaim import prove_reclaim

# Far more than the RSS of the test process moves by meanwhile: reading its mappings alone takes it megabytes.
SIZE = 64 * 1024**2


def write(path: Path) -> Path:
    block = os.urandom(1024**2)
    with path.open("wb") as file:
        for _ in range(SIZE // len(block)):
            file.write(block)
    return path


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="hfmemdebug-test-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


def test_pages_of_a_file_are_taken_back_also_where_it_was_just_written(tmp_path: Path) -> None:
    path = write(tmp_path / "data.arrow")
    (file,) = describe_files([str(path)])
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        before = bytes(mapped)
        proof = prove_reclaim(ProcessProbe(), [file])
        assert bytes(mapped) == before
    assert proof.why_not is None
    assert proof.asked_bytes == SIZE
    assert proof.freed_bytes >= SIZE // 2
    assert proof.rss_before - proof.rss_after >= SIZE // 2
    assert proof.same_data is True
    assert proof.checked_bytes == SIZE


def test_memory_cannot_be_taken_back_and_nothing_is_claimed(memory_folder: Path) -> None:
    path = write(memory_folder / "data.arrow")
    (file,) = describe_files([str(path)])
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        before = bytes(mapped)
        proof = prove_reclaim(ProcessProbe(), [file])
        assert bytes(mapped) == before
    assert "tmpfs" in proof.why_not
    assert proof.freed_bytes is None
    assert proof.same_data is None


def test_another_process_that_maps_the_file_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "data.arrow")
    (file,) = describe_files([str(path)])
    program = """
import mmap, sys
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
    mapped[::4096]
    print("mapped", flush=True)
    input()
"""
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "mapped\n"
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:: mmap.PAGESIZE]
        proof = prove_reclaim(ProcessProbe(), [file])
    other.communicate("\n")
    assert proof.freed_bytes < SIZE // 2
    assert "another process" in proof.why_not
    assert proof.same_data is True


def test_a_file_that_is_not_mapped(tmp_path: Path) -> None:
    proof = prove_reclaim(ProcessProbe(), describe_files([str(write(tmp_path / "data.arrow"))]))
    assert "none of the dataset's files is mapped" in proof.why_not
    assert proof.asked_bytes == 0
    assert "none" in (prove_reclaim(ProcessProbe(), []).why_not or "")


def test_private_copies_are_not_asked_back(tmp_path: Path) -> None:
    path = write(tmp_path / "data.arrow")
    (file,) = describe_files([str(path)])
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        mapped[100:104] = b"mine"
        proof = prove_reclaim(ProcessProbe(), [file])
        assert mapped[100:104] == b"mine"
    assert proof.asked_bytes == 0


def test_a_file_reached_through_a_link(tmp_path: Path) -> None:
    write(tmp_path / "blob")
    path = tmp_path / "data.arrow"
    path.symlink_to("blob")
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:: mmap.PAGESIZE]
        proof = prove_reclaim(ProcessProbe(), describe_files([str(path)]))
    assert proof.why_not is None
    assert proof.asked_bytes == SIZE
