from __future__ import annotations

import os
import subprocess
import sys
import time
from multiprocessing import shared_memory
from pathlib import Path

from hfmemdebug.recording.end import SegmentLine
from hfmemdebug.recording.sample import ProcessSample, TreeSample
from hfmemdebug.supervise.shared_memory import Segments, Writers

# A line of the function below.
LINE = 19


def test_what_was_made_and_not_unlinked(tmp_path: Path) -> None:
    now = [0.0]
    segments = Segments(tmp_path, clock=lambda: now[0])

    def later() -> int | None:
        now[0] += 1.0
        return segments.size(())

    assert later() is None
    made = [shared_memory.SharedMemory(create=True, size=1 << 20) for _ in range(2)]
    try:
        for segment in made:
            segment.buf[:] = b"x" * segment.size
            with (tmp_path / "segments").open("a") as file:
                file.write(f"{segment.name}\t{__file__}\t{LINE}\n")
        # It is asked for twice a second at most.
        assert segments.size(()) is None
        assert later() == 2 << 20
        assert segments.reserved == 2 << 20
        made[0].unlink()
        assert later() == 1 << 20
        made[1].unlink()
        assert later() == 0
        assert segments.most == 2 << 20
        (line,) = segments.by_line()
        assert line == SegmentLine(__file__, LINE, "test_what_was_made_and_not_unlinked", 2 << 20, 2)
    finally:
        for segment in made:
            segment.close()


def test_what_pytorch_has_named_after_its_maker(tmp_path: Path) -> None:
    now = [0.0]
    segments = Segments(tmp_path, clock=lambda: now[0])
    made = [
        Path(f"/dev/shm/torch_{os.getpid() + other}_1_{number}") for number, other in enumerate((0, 0, 1))
    ]
    try:
        for path in made:
            path.write_bytes(bytes(1 << 20))
        # Its maker has ended, or has not been seen yet.
        assert segments.size(()) is None
        sizes = []
        for pids in ([os.getpid()], []):
            now[0] += 1.0
            sizes.append(segments.size(pids))
        assert sizes == [2 << 20] * 2
        made[0].unlink()
        now[0] += 1.0
        assert segments.size(()) == 1 << 20
    finally:
        for path in made:
            path.unlink(missing_ok=True)


MB = 1 << 20
_WRITES = """
import pathlib, sys
path = pathlib.Path(sys.argv[1])
path.write_bytes(bytes(3 << 20))
print("written", flush=True)
sys.stdin.read()
path.unlink()
"""


def tree(pid: int, dev_shm: int) -> TreeSample:
    return TreeSample(0.0, dev_shm=dev_shm, processes=(ProcessSample(0.0, pid),))


def test_what_was_written_into_dev_shm() -> None:
    path = Path(f"/dev/shm/hfmemdebug-test-{os.getpid()}")
    began = time.time() - 1
    ours, theirs = Writers(began), Writers(began)
    command = [sys.executable, "-c", _WRITES, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for writers in (ours, theirs):
            # What was there before is not the program's.
            pid = process.pid if writers is ours else 0
            writers.update(tree(pid, 0))
            assert writers.new_files_bytes == 0
            writers.update(tree(pid, 4 * MB))
            assert writers.new_files_bytes >= 3 * MB
        assert ours.written is not None
        assert ours.written >= 3 * MB
        # To the watcher of another program these bytes are others'.
        assert theirs.written_by_others() >= 3 * MB
        assert theirs.written is None
        process.communicate()
