from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from hfmemdebug.recording.sample import Sample
from hfmemdebug.supervise.writers import Writers

MB = 1 << 20
_WRITES = """
import pathlib, sys
path = pathlib.Path(sys.argv[1])
path.write_bytes(bytes(3 << 20))
print("written", flush=True)
sys.stdin.read()
path.unlink()
"""


def tree(pid: int, dev_shm: int) -> list[Sample]:
    moment = {"epoch": 1, "slice": 0, "seconds": 0.0}
    return [Sample(kind="process", pid=pid, **moment), Sample(kind="tree", dev_shm=dev_shm, **moment)]


def test_who_has_written_into_dev_shm() -> None:
    path = Path(f"/dev/shm/hfmemdebug-test-{os.getpid()}")
    began = time.time() - 1
    ours, theirs = Writers(began), Writers(began)
    command = [sys.executable, "-c", _WRITES, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for writers in (ours, theirs):
            # What was there before is nobody's news.
            pid = process.pid if writers is ours else 0
            writers.look(tree(pid, 0))
            assert writers.new_files_bytes == 0
            writers.look(tree(pid, 4 * MB))
            assert writers.new_files_bytes >= 3 * MB
        assert ours.written is not None
        assert ours.written >= 3 * MB
        # To those who watch another program it is somebody else's.
        assert theirs.written_by_others() >= 3 * MB
        assert theirs.written is None
        process.communicate()
