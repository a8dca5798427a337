"""The tracer, in a process of its own: looks are taken when the program says so, so that its pace is known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hfmemdebug.probes.inside import FOLDER

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")

_HEAD = """
import _thread, sys, time, tracemalloc
sys.path.insert(0, sys.argv[1])
"""
_LOOKS = f"""{_HEAD}
from _hfmemdebug_common import load
(trace_program,) = load("origin.trace_program")
FRAMES, Tracer = trace_program.FRAMES, trace_program.Tracer
rows = [0]
tracer = Tracer(sys.argv[2], rows)
tracemalloc.start(FRAMES)
tracer.traced_from = time.perf_counter()
def look():
    rows[0] += 1000
    tracer.busy = True
    # As the sampler's thread does it: what a look allocates is told from the program's by its thread.
    _thread.start_new_thread(tracer.take, ())
    while tracer.busy:
        time.sleep(0.001)
look()
"""
_GROWTH = """
leak, cache, work = [], [], []
def part(leaking, warming, working):
    leak.extend(bytes(1000) for _ in range(leaking))  # the leak
    cache.extend(bytes(1000) for _ in range(warming))  # the cache
    work[:] = [bytes(1000) for _ in range(working)]  # the work
    look()
"""


def traced(folder: Path, parts: str) -> dict[str, Any] | None:
    program = folder / "program.py"
    program.write_text(_LOOKS + _GROWTH + parts)
    subprocess.run([sys.executable, program, FOLDER, folder], check=True)
    found = list(folder.glob("*.trace"))
    return json.loads(found[0].read_text()) if found else None


def lines(folder: Path, trace: dict[str, Any] | None) -> list[str]:
    assert trace is not None
    text = (folder / "program.py").read_text().splitlines()
    return [text[line - 1].partition("# the ")[2] for (_, line), *_ in trace["sites"]]


def test_two_looks_name_what_has_grown_at_one_pace_since_tracing_began(tmp_path: Path) -> None:
    # What warms up and what is worked on has gone on growing a little.
    trace = traced(tmp_path, "part(500, 2000, 1000)\npart(500, 100, 1050)")
    assert lines(tmp_path, trace) == ["leak"]
    assert trace is not None and trace["sites"][0][1] == pytest.approx(1_000_000, rel=0.1)
    assert trace["holders"][0]["path"] == "module __main__: list `leak`"
    assert trace["holders"][0]["growth_per_iteration"] == pytest.approx(1000, rel=0.05)


def test_the_bound_of_a_holder_is_told_with_how_full_it_is(tmp_path: Path) -> None:
    parts = (
        "recent, endless = {}, {}\n"
        "def remember():\n"
        "    for _ in range(300):\n"
        "        recent[len(recent)] = endless[len(endless)] = bytes(1000)\n"
        "        if len(recent) > 5000:\n"
        "            recent.clear()\n"
        "for _ in range(4):\n"
        "    remember()\n"
        "    look()\n"
    )
    trace = traced(tmp_path, parts)
    assert trace is not None
    held = {holder["at"]["steps"][0]["name"]: holder for holder in trace["holders"]}
    assert held.keys() == {"recent", "endless"}
    assert held["endless"]["bound"] is None
    bound = held["recent"]["bound"]
    assert (bound["capacity"], bound["unit"], held["recent"]["entries"]) == (5000, "entry", 1200)
    assert bound["where"]["file"].endswith("program.py")


def test_a_look_that_goes_on_as_the_process_ends_is_waited_for(tmp_path: Path) -> None:
    # As long as it goes on it has all objects in its hands, garbage among them.
    ending = (
        "part(500, 0, 0)\npart(500, 0, 0)\ntracer.busy = True\n"
        "def take():\n    time.sleep(0.5)\n    tracer.take()\n_thread.start_new_thread(take, ())\n"
        "tracer.end()\nassert not tracer.busy and not tracemalloc.is_tracing()\n"
    )
    assert traced(tmp_path, ending) is not None


def test_what_was_found_stays_where_the_end_freed_it_before_the_last_look_but_one(tmp_path: Path) -> None:
    # A look that goes on as the function returns that had it all finds it gone, as does the one at the very end.
    ending = "leak.clear()\nlook()\nwork = bytes(100_000)\ntracer.end()\n"
    found = traced(tmp_path, "part(500, 0, 0)\n" * 3 + ending)
    assert lines(tmp_path, found) == ["leak"]


def test_one_look_names_nobody(tmp_path: Path) -> None:
    assert traced(tmp_path, "part(500, 2000, 1000)") is None


def test_with_three_looks_the_start_of_tracing_is_none_of_them(tmp_path: Path) -> None:
    # Of five parts the first was a start-up that took ten times as much, of the leak's line as well.
    trace = traced(tmp_path, "part(5000, 2000, 1000)\n" + "part(500, 0, 1000)\n" * 2)
    assert lines(tmp_path, trace) == ["leak"]
    assert trace is not None and trace["sites"][0][1] == pytest.approx(1_000_000, rel=0.1)


_MALLOC = f"""{_HEAD}
import ctypes, gc
from _hfmemdebug_overhead import Overhead
class Mallinfo2(ctypes.Structure):
    _fields_ = [("sizes", ctypes.c_size_t * 10)]
mallinfo2 = ctypes.PyDLL(None).mallinfo2
mallinfo2.restype, mallinfo2.argtypes = Mallinfo2, []
def used():
    info = mallinfo2()
    return info.sizes[7] + info.sizes[4] - overhead.bytes()
overhead = Overhead()
def learn():
    memory = tracemalloc.get_tracemalloc_memory()
    traces = tracemalloc.take_snapshot().traces._traces
    overhead.learn(memory, len(traces), {{id(trace[2]): trace[2] for trace in traces}}.values())
def fill(places, depth):
    if depth:
        return fill(places, depth - 1)
    # Small objects are CPython's own allocator's: none of them is malloc's.
    for i in range(len(places)):
        places[i] = bytes(100)
before = used()
tracemalloc.start(16)
"""


@pytest.mark.parametrize("count", [3_000, 30_000, 300_000, 700_000])
def test_mallocs_bytes_are_told_without_what_tracing_has_in_use(count: int) -> None:
    code = f"""{_MALLOC}
places = [[None] * ({count} // 8) for _ in range(8)]
before = used()
for depth, each in enumerate(places):
    fill(each, depth)
grown = used() - before
learn()
learned = used() - before
for each in places:
    each[:] = [None] * len(each)
print(grown, learned, used() - before)
"""
    done = subprocess.run([sys.executable, "-c", code, FOLDER], check=True, capture_output=True, text=True)
    # Three hundredths of a byte for each object: what `tracemalloc` leaves out of its own account are 48.
    for grown in map(int, done.stdout.split()):
        assert abs(grown) < 20_000 + 0.03 * count


def test_tracebacks_are_taken_away_once_they_are_known() -> None:
    code = f"""{_MALLOC}
exec("\\n".join(f"def f{{i}}(): return bytes(50)" for i in range(5000)))
before = used()
kept = [globals()[f"f{{i}}"]() for i in range(5000)]
learn()
learned = used() - before
kept = [globals()[f"f{{i}}"]() for i in range(5000)]
print(learned, used() - before)
"""
    done = subprocess.run([sys.executable, "-c", code, FOLDER], check=True, capture_output=True, text=True)
    # The list of those that are kept has 40 KB, a look's own are 100; the two lines' tracebacks have over a million.
    for grown in map(int, done.stdout.split()):
        assert abs(grown) < 400_000


_TUPLES = """
while looks() < 3:
    # It grows as it is filled, and is cut in the end.
    tuple(number for number in range(300))
"""


def test_a_program_that_fills_tuples_goes_on_while_it_is_looked_at(tmp_path: Path) -> None:
    code = f"""{_LOOKS}
many = [[number] for number in range(30_000)]
done = []
failed = []
def go_on():
    try:
        while len(done) < 3:
            tracer.busy = True
            tracer.take()
            done.append(1)
    except BaseException as error:
        failed.append(error)
def looks():
    return 3 if failed else len(done)
_thread.start_new_thread(go_on, ())
{_TUPLES}
print(len(done), failed)
"""
    command = [sys.executable, "-c", code, FOLDER, tmp_path]
    # A tuple that is held by a second name while it is filled cannot be resized: CPython raises SystemError.
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "3 []\n"


def test_objects_are_counted_without_holding_one(tmp_path: Path) -> None:
    code = f"""{_HEAD}
from _hfmemdebug_sampler import _count_objects
many = [[number] for number in range(300_000)]
done = []
def go_on():
    while len(done) < 100:
        done.append(_count_objects() or 0)
def looks():
    return len(done) // 30
_thread.start_new_thread(go_on, ())
{_TUPLES}
print(min(done))
"""
    command = [sys.executable, "-c", code, FOLDER]
    assert int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) > 300_000


def test_a_look_leaves_nothing_behind_that_only_the_collector_would_take(tmp_path: Path) -> None:
    code = f"""{_LOOKS}
import gc
many = [[*range(number, number + 20)] for number in range(1000, 3000)]
gc.disable()
left = []
for _ in range(7):
    before = sys.getallocatedblocks()
    look()
    left.append(sys.getallocatedblocks() - before)
print(left)
"""
    command = [sys.executable, "-c", code, FOLDER, tmp_path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    # Two thousand containers are looked at; what the first looks leave is what is compared with the next ones.
    assert max(json.loads(done.stdout)[4:]) < 500
