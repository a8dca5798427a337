"""A tree over time: nothing is lost of a process that ends, and sums do not change with what was read last."""

from __future__ import annotations

import itertools
import os
import signal
import time
from typing import Any

import pytest
from supervise.started import MB, started

from hfmemdebug.probes.process_table import command_line, is_living
from hfmemdebug.recording.sample import TreeSample
from hfmemdebug.supervise.child import PR_SET_CHILD_SUBREAPER
from hfmemdebug.supervise.exec_shim import prctl
from hfmemdebug.supervise.watch import TreeWatch

# The parent does not wait for it: it stays a zombie, whose command line is empty.
SHORT_LIVED = """
import os
inner, outer = os.pipe()
child = os.fork()
if child == 0:
    os.read(inner, 1)
    os._exit(0)
"""


def look(watch: TreeWatch) -> TreeSample:
    tree = watch.take_sample()
    assert tree is not None
    return tree


def test_the_rows_of_a_worker_that_lived_for_a_moment_are_kept() -> None:
    told: list[int] = []
    with started(
        f"{SHORT_LIVED}import threading\nthreading.Timer(0.3, os.write, (outer, b'x')).start()"
    ) as process:

        def inside(pid: int) -> dict[str, Any]:
            return {"rows": 1000 if pid != process.pid else 1}

        watch = TreeWatch(process.pid, inside=inside, forget=told.append, spent=lambda: 0.0)
        tree = look(watch)
        (child,) = [s.pid for s in tree.processes if s.pid != process.pid]
        assert tree.rows == 1001
        deadline = time.monotonic() + 30
        while is_living(child):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # Long enough for processes to be looked for anew, which comes before each is read.
        time.sleep(0.12)
        tree = look(watch)
        assert (tree.children, tree.rows) == (0, 1001)
        assert told == [child]
        watch.close()


# A daemon's parent is gone when it is looked for.
DAEMON = """
import os, sys
if os.fork() == 0:
    if os.fork() == 0:
        sys.stdin.read()
    os._exit(0)
os.wait()
"""


def test_a_daemon_that_comes_to_us_is_still_the_programs() -> None:
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        # One that was there before, as a container's entry point leaves behind that becomes us.
        with started("pass") as stranger, started(DAEMON) as process:
            assert command_line(stranger.pid) != command_line(process.pid)
            watch = TreeWatch(process.pid, adopts=lambda pid: command_line(pid) == command_line(process.pid))
            (daemon,) = (s for s in look(watch).processes if s.pid != process.pid)
            assert daemon.ppid == process.pid
            assert look(TreeWatch(process.pid)).children == 0
            watch.close()
            os.kill(daemon.pid, signal.SIGKILL)
            os.waitpid(daemon.pid, 0)
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0)


def test_the_first_sums_are_of_pss_as_all_that_follow() -> None:
    with started("ballast = bytearray(b'x') * (8 << 20)") as process:
        watch = TreeWatch(process.pid)
        first = look(watch)
        assert first.processes[0].pss is not None
        assert first.rss == first.processes[0].pss
        assert first.file == first.processes[0].pss_file
        watch.close()


def test_what_comes_between_two_readings_of_pss_is_in_the_sums() -> None:
    code = "import threading\nkept = []\nthreading.Timer(0.3, lambda: kept.append(b'x' * (32 << 20))).start()"
    with started(code) as process:
        # Each reading seems to take a second: the next one is minutes away.
        watch = TreeWatch(process.pid, spent=itertools.count().__next__)
        first = look(watch)
        deadline = time.monotonic() + 30
        while ((tree := look(watch)).processes[0].anon or 0) < (first.processes[0].anon or 0) + 32 * MB:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert tree.processes[0].pss == first.processes[0].pss
        for name in ("rss", "pss", "pss_anon"):
            assert 32 * MB <= getattr(tree, name) - getattr(first, name) < 40 * MB
        watch.close()


SPAWNED = """
import subprocess, sys
code = "ballast = bytearray(b'x') * (16 << 20); print(1, flush=True); import sys; sys.stdin.read()"
workers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
for worker in workers: worker.stdout.readline()
"""


def test_anonymous_memory_is_in_the_sums_before_its_pss_was_read() -> None:
    with started(SPAWNED) as process:
        watch = TreeWatch(process.pid, spent=itertools.count().__next__)
        before = look(watch)
        assert [s.pss is None for s in before.processes] == [False, True, True]
        reading = watch.read_all()
        after = look(watch)
        assert all(s.pss is not None for s in after.processes)
        assert before.pss_anon == pytest.approx(after.pss_anon, abs=MB)
        assert after.pss == pytest.approx(reading.pss, abs=MB)
        watch.close()
