"""A tree over time: nothing is lost of a process that ends, and sums do not change with what was read last."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from typing import Any

import pytest
from processes.started import started

from hfmemdebug.probes import foreign
from hfmemdebug.processes.watch import TreeWatch

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")

PR_SET_CHILD_SUBREAPER = 36
# The parent does not wait for it: it stays a zombie, whose command line is empty.
SHORT_LIVED = """
import os
inner, outer = os.pipe()
child = os.fork()
if child == 0:
    os.read(inner, 1)
    os._exit(0)
"""


def test_the_rows_of_a_worker_that_lived_for_a_moment_are_kept() -> None:
    told: list[int] = []
    with started(
        f"{SHORT_LIVED}import threading\nthreading.Timer(0.3, os.write, (outer, b'x')).start()"
    ) as process:

        def inside(pid: int) -> dict[str, Any]:
            return {"rows": 1000 if pid != process.pid else 1}

        watch = TreeWatch(process.pid, inside=inside, forget=told.append, spent=lambda: 0.0)
        look = watch.look()
        (child,) = [s.pid for s in look if s.kind == "process" and s.pid != process.pid]
        assert child is not None
        assert look[-1].rows == 1001
        deadline = time.monotonic() + 30
        while (stat := foreign.read_stat(child)) is not None and stat.state != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # Long enough for processes to be looked for anew, which comes before each is read.
        time.sleep(0.12)
        look = watch.look()
        assert (look[-1].children, look[-1].rows) == (0, 1001)
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
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        with started(DAEMON) as process:
            watch = TreeWatch(process.pid, adopter=os.getpid())
            daemon = next(s for s in watch.look() if s.kind == "process" and s.pid != process.pid)
            assert daemon.ppid == process.pid
            assert TreeWatch(process.pid).look()[-1].children == 0
            watch.close()
            assert daemon.pid is not None
            os.kill(daemon.pid, signal.SIGKILL)
            os.waitpid(daemon.pid, 0)
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0)


def test_the_first_sums_are_of_pss_as_all_that_follow() -> None:
    with started("ballast = bytearray(b'x') * (8 << 20)") as process:
        watch = TreeWatch(process.pid)
        first = watch.look()
        assert first[0].pss is not None
        assert first[-1].rss == first[0].pss
        assert first[-1].file == first[0].pss_file
        watch.close()
