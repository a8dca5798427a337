from __future__ import annotations

import subprocess
import sys

import pytest

from hfmemdebug.probes.children import Children, Growth, read_children

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")

MB = 1 << 20
# Counted in the process that has the children: forking pytest itself would leave its threads behind.
_HEAD = """
import os, subprocess, sys
from hfmemdebug.probes.children import read_children
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
    seen = read_children()
    os.write(asks[1], b"!")
    os.waitpid(pid, 0)
    return seen
"""


def run(code: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", _HEAD + code], capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


def test_no_children() -> None:
    assert run("seen = read_children(); print(seen.count, seen.anon)") == [0, 0]


def test_a_copy_on_write_is_no_growth_and_new_memory_is() -> None:
    idle, copied, grown = run(
        "def copy():\n"
        "    for page in range(0, len(ballast), 4096): ballast[page] = 1\n"
        "def grow():\n"
        "    global more\n"
        "    more = bytearray(b'y') * (32 << 20)\n"
        "print(*(forked(work).anon for work in (lambda: None, copy, grow)))"
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
        "print(forked(start).count)"
    )
    assert run(code) == [2]


def test_an_ended_child_that_nobody_waited_for_holds_nothing() -> None:
    code = (
        "child = subprocess.Popen([sys.executable, '-c', 'pass'], stdout=subprocess.PIPE)\n"
        "child.stdout.read()\n"
        "os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)\n"
        "seen = read_children(); print(seen.count, seen.anon)"
    )
    assert run(code) == [1, 0]


def test_what_a_child_has_had_goes_with_it() -> None:
    growth = Growth()
    # The last one has ended.
    readings = ({1: 50, 2: 70}, {1: 60, 2: 90}, {1: 65, 3: 200}, {1: 65, 3: 190, 2: 10}, {1: 65, 3: 0}, {})
    assert [growth.of(Children(anon_of)) for anon_of in readings] == [0, 30, 15, 5, 15, 0]


def test_of_this_process() -> None:
    assert isinstance(read_children(), Children)
