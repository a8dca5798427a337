from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hfmemdebug.probes.process_table import GrowthSinceSeen, descendants, is_living

MB = 1 << 20
# Counted in the process that has the children: forking pytest itself would leave its threads behind.
_HEAD = """
import os, subprocess, sys
from hfmemdebug.probes.process_table import anon_of_descendants
ballast = bytearray(b"x") * (64 << 20)

def forked(work):
    asks, answers = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(asks[1])
        work()
        os.write(answers[1], b"!")
        os.read(asks[0], 1)
        os._exit(0)
    os.read(answers[0], 1)
    seen = anon_of_descendants()
    os.write(asks[1], b"!")
    os.waitpid(pid, 0)
    return seen
"""


def run(code: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", _HEAD + code], capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


def test_no_children() -> None:
    assert run("seen = anon_of_descendants(); print(len(seen), sum(seen.values()))") == [0, 0]


def test_a_copy_on_write_is_no_growth_and_new_memory_is() -> None:
    idle, copied, grown = run(
        "def copy():\n"
        "    for page in range(0, len(ballast), 4096): ballast[page] = 1\n"
        "def grow():\n"
        "    global more\n"
        "    more = bytearray(b'y') * (32 << 20)\n"
        "print(*(sum(forked(work).values()) for work in (lambda: None, copy, grow)))"
    )
    assert idle > 64 * MB
    assert abs(copied - idle) < 2 * MB
    assert 30 * MB < grown - idle < 34 * MB


def test_grandchildren_count() -> None:
    code = (
        "def start():\n"
        "    global child\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'print(1, flush=True); input()'],\n"
        "        stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "    child.stdout.readline()\n"
        "print(len(forked(start)))"
    )
    assert run(code) == [2]


def test_an_ended_child_that_nobody_waited_for_holds_nothing() -> None:
    code = (
        "child = subprocess.Popen([sys.executable, '-c', 'pass'], stdout=subprocess.PIPE)\n"
        "child.stdout.read()\n"
        "os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)\n"
        "seen = anon_of_descendants(); print(len(seen), sum(seen.values()))"
    )
    assert run(code) == [1, 0]


def test_what_a_child_has_had_goes_with_it() -> None:
    growth = GrowthSinceSeen()
    # The last one has ended.
    readings = ({1: 50, 2: 70}, {1: 60, 2: 90}, {1: 65, 3: 200}, {1: 65, 3: 190, 2: 10}, {1: 65, 3: 0}, {})
    assert [growth.of(anon_of) for anon_of in readings] == [0, 30, 15, 5, 15, 0]


def test_a_kernel_that_lists_no_children_is_asked_for_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    nested = "import subprocess, sys; print(1, flush=True); subprocess.run(['sleep', '60'])"
    with subprocess.Popen([sys.executable, "-c", nested], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while not (listed := descendants(process.pid)):
            pass
        monkeypatch.setattr(Path, "exists", lambda path: False)
        assert descendants(process.pid) == listed == dict.fromkeys(listed, process.pid)
        for pid in (*listed, process.pid):
            assert is_living(pid)
            os.kill(pid, signal.SIGKILL)


def test_one_that_was_not_waited_for_lives_no_more() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_living(process.pid)
    process.wait()
    assert not is_living(process.pid)
