from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import psutil
import pytest
from supervise.started import started

from hfmemdebug.errors import AccessError, InputError, UsageError
from hfmemdebug.measure.attach import Attachment, find_target
from hfmemdebug.recording.header import ArmInfo, Header, Workload

HEADER = Header("attach", ArmInfo("program", "program", consumer=False), Workload())


def test_the_first_figures_go_ahead_of_looking_into_the_process(tmp_path: Path) -> None:
    seen = []

    def show(attachment: Attachment) -> bool:
        seen.append((attachment.tree is not None, attachment.samples[-1].children))
        return len(seen) < 2

    with started("") as process:
        Attachment(find_target(process.pid), tmp_path / "a.jsonl", HEADER).watch(show)
    assert seen == [(False, 0), (True, 0)]


def test_what_is_recorded_begins_once_shared_pages_are_counted_once(tmp_path: Path) -> None:
    looks = []
    code = """
import subprocess, sys
code = "print(1, flush=True); import sys; sys.stdin.read()"
worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
worker.stdout.readline()
"""
    with started(code) as process:
        recording = Attachment(find_target(process.pid), tmp_path / "a.jsonl", HEADER).watch(
            lambda attachment: len(looks.append(1) or looks) < 6
        )
    processes = [process for tree in recording.trees for process in tree.processes]
    assert all(process.pss is not None for process in processes)
    assert all(tree.pss is not None for tree in recording.trees)
    assert {process.role for process in processes} == {"main", "python -c"}


def test_another_process_of_the_same_number_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started("") as process:
        target = find_target(process.pid)
        # As it was named, and ended; the kernel has given its number to another one since.
        monkeypatch.setattr(target.process, "is_running", lambda: False)
        attachment = Attachment(target, tmp_path / "a.jsonl", HEADER)
        recording = attachment.watch(lambda attachment: pytest.fail("it was shown"))
    assert attachment.why_ended == f"process {process.pid} ended while it was watched"
    assert recording.trees == ()


def test_a_process_is_found() -> None:
    assert find_target(os.getppid()).pid == os.getppid()


def test_ourselves() -> None:
    with pytest.raises(UsageError, match="hfmemdebug itself"):
        find_target(os.getpid())


def test_a_number_without_a_process() -> None:
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
    # Mounting /proc with hidepid would hide it from all other programs on this machine.
    def hidden(pid: int) -> psutil.Process:
        raise psutil.NoSuchProcess(pid)

    with started("") as process:
        monkeypatch.setattr("psutil.Process", hidden)
        with pytest.raises(AccessError, match="hidepid"):
            find_target(process.pid)
