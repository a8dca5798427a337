from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from supervise.started import started

from hfmemdebug.errors import AccessError, InputError, UsageError
from hfmemdebug.supervise.attach_target import find_target

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")


def test_a_process_is_found() -> None:
    stat = find_target(os.getppid())
    assert stat.pid == os.getppid()
    assert stat.started >= 0


def test_ourselves() -> None:
    with pytest.raises(UsageError, match="hfmemdebug itself"):
        find_target(os.getpid())


def test_nobody() -> None:
    with pytest.raises(InputError, match="there is no process 4194999"):
        find_target(4194999)


def test_a_number_that_is_none() -> None:
    with pytest.raises(InputError, match="there is no process"):
        find_target(10**20)


def test_a_zombie() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(InputError, match=f"process {process.pid} .* has ended.* parent {os.getpid()}"):
        find_target(process.pid)
    process.wait()


def test_a_thread() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with pytest.raises(InputError, match=f"is a thread of process {os.getpid()}"):
            find_target(thread.native_id or 0)
    finally:
        done.set()
        thread.join()


def test_a_thread_of_the_kernel() -> None:
    if Path("/proc/2/comm").read_text() != "kthreadd\n":
        pytest.skip("only on a system whose kernel threads are visible")
    with pytest.raises(InputError, match="thread of the kernel"):
        find_target(2)


def test_a_number_inside_a_container() -> None:
    if os.geteuid() != 0:
        pytest.skip("only on a system where the tests are root, who can make a PID namespace")
    number = next(n for n in range(3_900_000, 4_000_000) if not Path(f"/proc/{n}").exists())
    script = f"echo {number - 1} > /proc/sys/kernel/ns_last_pid; sleep 30 & echo; wait"
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", script], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(InputError, match="a container numbers one so that is") as raised:
                find_target(number)
            assert raised.value.next is not None
            outside = int(raised.value.next.split()[-1])
            assert find_target(outside).pid == outside
        finally:
            process.kill()


def test_one_that_proc_hides(monkeypatch: pytest.MonkeyPatch) -> None:
    # Mounting /proc with hidepid would hide it from everybody else on this machine.
    monkeypatch.setattr("hfmemdebug.probes.foreign.read_stat", lambda pid: None)
    with started("") as process, pytest.raises(AccessError, match="hidepid"):
        find_target(process.pid)
