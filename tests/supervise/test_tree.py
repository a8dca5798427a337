from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from supervise.started import FORKS, MB, started

from hfmemdebug.supervise.watch import read_tree

MAPPED = """
import mmap, sys
file = open(sys.argv[1], "rb")
mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
for page in range(0, len(mapped), 4096): mapped[page]
"""


@pytest.fixture
def cache_file(tmp_path: Path) -> Path:
    path = tmp_path / "cache-0123456789abcdef.arrow"
    with path.open("wb") as file:
        file.write(os.urandom(16 * MB))
        file.flush()
        os.fsync(file.fileno())
    return path


def test_forks_are_summed_by_pss_and_named() -> None:
    with started("ballast = bytearray(b'x') * (64 << 20)\n" + FORKS + "fork(4)") as process:
        tree = read_tree(process.pid)
    assert [p.role for p in tree.processes] == ["main", "worker 0", "worker 1", "worker 2", "worker 3"]
    assert sum(p.status.rss or 0 for p in tree.processes) > 5 * 64 * MB
    assert tree.pss is not None
    assert 64 * MB < tree.pss < 110 * MB
    assert tree.unreclaimable is not None
    assert 64 * MB < tree.unreclaimable < 110 * MB
    assert all(p.memory is not None and (p.memory.shared or 0) > 60 * MB for p in tree.processes)


def test_a_mapped_dataset_can_be_taken_back_and_is_counted_once(cache_file: Path) -> None:
    with started(f"{MAPPED}{FORKS}fork(2)", str(cache_file)) as process:
        tree = read_tree(process.pid)
    (file,) = tree.files
    assert file.path == str(cache_file)
    assert file.kind == "map cache"
    assert file.fingerprint == "0123456789abcdef"
    assert file.resident_bytes == file.size_bytes == 16 * MB
    assert not file.memory_backed
    assert tree.reclaimable is not None
    # The forks have not touched it: their page tables do not hold a mapped file's pages.
    assert 16 * MB <= tree.reclaimable < 40 * MB
    usage = tree.processes[0].usage
    assert usage.files is not None
    assert usage.files[0].resident_bytes == 16 * MB
    assert (usage.reclaimable_bytes or 0) >= 16 * MB
    assert (usage.private_dirty_bytes or 0) < 16 * MB


def test_a_file_that_is_mapped_twice_is_resident_once(cache_file: Path) -> None:
    twice = MAPPED + "again = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\nsum(again[::4096])\n"
    with started(twice, str(cache_file)) as process:
        tree = read_tree(process.pid)
    (file,) = tree.files
    assert (file.resident_bytes, file.again_bytes) == (16 * MB, 16 * MB)
    (main,) = tree.processes
    assert (main.status.file or 0) > 32 * MB
    assert main.reclaimable is not None
    assert 16 * MB <= main.reclaimable < 32 * MB
    assert tree.reclaimable is not None
    assert 16 * MB <= tree.reclaimable < 32 * MB


def test_a_dataset_on_tmpfs_cannot() -> None:
    path = Path(f"/dev/shm/hfmemdebug-{os.getpid()}.arrow")
    try:
        path.write_bytes(bytes(8 * MB))
        with started(MAPPED, str(path)) as process:
            tree = read_tree(process.pid)
    finally:
        path.unlink()
    (file,) = tree.files
    assert file.memory_backed
    assert tree.unreclaimable is not None
    assert tree.unreclaimable >= 8 * MB
    assert tree.reclaimable is not None
    assert tree.reclaimable < 20 * MB


def test_shared_memory_without_a_name_is_accounted_to_its_holders() -> None:
    code = "import os\nfd = os.memfd_create('batch')\nos.write(fd, bytes(6 << 20))\n" + FORKS + "fork(1)"
    with started(code) as process:
        tree = read_tree(process.pid)
    (block,) = tree.shared
    assert block.path.startswith("/memfd:batch")
    assert block.size_bytes == 6 * MB
    assert block.holders == tuple(sorted(p.pid for p in tree.processes))


def test_helpers_have_their_names() -> None:
    code = (
        "import multiprocessing, time\n"
        "context = multiprocessing.get_context('spawn')\n"
        "workers = [context.Process(target=time.sleep, args=(60,), daemon=True) for _ in range(2)]\n"
        "for worker in workers: worker.start()\n"
    )
    expected = {"main", "resource tracker", "spawned worker 0", "spawned worker 1"}
    with started(code) as process:
        deadline = time.monotonic() + 20
        # Until it has been replaced by what it was started for, each is its parent's copy.
        while (roles := {p.role for p in read_tree(process.pid, deep=False).processes}) != expected:
            assert time.monotonic() < deadline, roles


def test_processes_that_come_and_go_do_not_disturb() -> None:
    code = "import subprocess, threading\ndef churn():\n    while True: subprocess.run(['true'])\n"
    code += "threading.Thread(target=churn, daemon=True).start()"
    with started(code) as process:
        for _ in range(30):
            tree = read_tree(process.pid)
            assert tree.processes[0].pid == process.pid


def test_another_users_process_gives_what_it_gives() -> None:
    if os.geteuid() != 0:
        pytest.skip("only on a system where the tests are root, who can become another user")
    with started("ballast = bytearray(b'x') * (32 << 20)") as process:
        code = (
            "import os, sys\n"
            "from hfmemdebug.supervise.watch import read_tree\n"
            "os.setgid(65534); os.setuid(65534)\n"
            "tree = read_tree(int(sys.argv[1]))\n"
            "(p,) = tree.processes\n"
            "print(p.memory, p.status.anon >> 20, tree.unreclaimable >> 20)\n"
            "print(*tree.notes)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(process.pid)], capture_output=True, text=True, check=False
        )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    memory, anon, owned = lines[0].split()
    assert memory == "None"
    assert 32 <= int(anon) == int(owned)
    assert "may not be read" in lines[1]


def test_an_ended_process_is_no_tree() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert read_tree(process.pid).processes == ()
