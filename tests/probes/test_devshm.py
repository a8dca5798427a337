from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from uncovered import uncovered

_PROBER = """
import sys
from hfmemdebug.probes.devshm import NewFiles
files = NewFiles(sys.argv[1])
own = open(sys.argv[1] + "/mine", "wb", buffering=0)
own.write(bytes(8192))
print("ready", flush=True)
sys.stdin.readline()
print(files.size(), flush=True)
sys.stdin.readline()
print(files.size())
"""
_OTHER = """
import mmap, sys
with open(sys.argv[1] + "/theirs", "wb") as file:
    file.write(bytes(1 << 20))
file = open(sys.argv[1] + "/theirs", "r+b")
kept = mmap.mmap(file.fileno(), 0) if sys.argv[2] == "mapped" else file
if sys.argv[2] != "open":
    file.close()
print("ready", flush=True)
sys.stdin.readline()
"""


_COUNTER = """
import os, sys
from pathlib import Path
from hfmemdebug.probes.cpython import allocated_blocks
from hfmemdebug.probes.devshm import NewFiles
files = NewFiles(sys.argv[1])
for number in range(300):
    Path(sys.argv[1], str(number)).touch()
    files.size()
    if number == 100:
        before = allocated_blocks()
print(allocated_blocks() - before)
"""


def _start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=uncovered(),
    )


def _told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _ask(process: subprocess.Popen[str]) -> int:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return int(_told(process))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only on Linux")
@pytest.mark.parametrize(("how", "counted"), [("open", 0), ("mapped", 0), ("closed", 1 << 20)])
def test_files_that_another_program_holds_are_not_counted(tmp_path: Path, how: str, counted: int) -> None:
    with _start(_PROBER, str(tmp_path)) as prober:
        assert _told(prober) == "ready"
        with _start(_OTHER, str(tmp_path), how) as other:
            assert _told(other) == "ready"
            assert _ask(prober) == 8192 + counted
            other.communicate("\n")
        # Whoever is gone has left it behind, as it was theirs before.
        assert _ask(prober) == 8192 + counted


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only on Linux")
def test_files_that_pile_up_leave_nothing_in_the_process_that_counts_them(tmp_path: Path) -> None:
    with _start(_COUNTER, str(tmp_path)) as counter:
        assert int(_told(counter)) < 60
