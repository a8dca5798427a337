from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from uncovered import uncovered

from hfmemdebug.probes.cpython import allocated_blocks, parse_malloc_stats, python_heap

PYTHON_3_10 = """\
Small block threshold = 512, in 32 size classes.

class   size   num pools   blocks in use  avail blocks
-----   ----   ---------   -------------  ------------
    0     16           1             210            43
    1     32           9            1125             9
    2     48          29            2404            32
   31    512           4              26             2

# arenas allocated total           =                   12
# arenas reclaimed                 =                    2
# arenas highwater mark            =                   10
10 arenas * 262144 bytes/arena     =            2,621,440
# bytes in allocated blocks        =            2,465,000
0 unused pools * 4096 bytes        =                    0

       12 free PyDictObjects * 48 bytes each =                  576
        5 free 1-sized PyTupleObjects * 32 bytes each =         160
"""


def test_the_size_classes_are_added_up() -> None:
    in_use = 16 * 210 + 32 * 1125 + 48 * 2404 + 512 * 26
    assert parse_malloc_stats(PYTHON_3_10) == (in_use, 2_621_440 - in_use)


@pytest.mark.parametrize("text", ["", "        5 free PyTupleObjects * 32 bytes each = 160\n"])
def test_without_size_classes_there_is_no_figure(text: str) -> None:
    assert parse_malloc_stats(text) is None


def test_objects_are_seen_to_within_a_hundredth() -> None:
    count = 200_000
    kept: list[object] = [None] * count
    before = python_heap()
    blocks = allocated_blocks()
    for index in range(count):
        # One object of 48 bytes each: a float would come from a free list.
        kept[index] = b"%015d" % index
    after = python_heap()
    blocks_after = allocated_blocks()
    assert before is not None
    assert after is not None
    assert blocks is not None
    assert blocks_after is not None
    assert after.in_use - before.in_use == pytest.approx(count * 48, rel=0.01)
    assert blocks_after - blocks == pytest.approx(count, rel=0.01)


def test_nothing_is_kept_by_reading() -> None:
    python_heap()
    kept = []
    for _ in range(3):
        before = allocated_blocks() or 0
        for _ in range(50):
            python_heap()
        kept.append(abs((allocated_blocks() or 0) - before))
    # What is kept is kept each time; the test runner's own threads allocate now and then.
    assert min(kept) < 10


def test_what_others_write_to_standard_error_meanwhile_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    lines = 2000
    stop = threading.Event()

    def write() -> None:
        for index in range(lines):
            os.write(2, b"line %05d\n" % index)
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not stop.is_set():
        assert python_heap()
    writer.join()
    assert capfd.readouterr().err.splitlines() == [f"line {index:05d}" for index in range(lines)]


@pytest.mark.parametrize("closed", ["2", "0, 1, 2"])
def test_it_needs_no_standard_error(closed: str) -> None:
    program = f"""
import os
from hfmemdebug.probes.cpython import python_heap
for fd in ({closed},):
    os.close(fd)
before = os.listdir("/proc/self/fd")
read = python_heap()
os._exit(0 if read.in_use > 100_000 and os.listdir("/proc/self/fd") == before else 1)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_another_allocator_gives_no_figure() -> None:
    program = "from hfmemdebug.probes.cpython import python_heap; print(python_heap())"
    env = {**os.environ, "PYTHONMALLOC": "malloc"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, check=True
    )
    assert done.stdout == "None\n"
    assert done.stderr == ""


def test_names_that_were_looked_up_are_given_up() -> None:
    """Files that are opened as text leave their names in CPython's cache of attribute lookups."""
    program = """
import array, gc, sys
from hfmemdebug.probes.cpython import clear_type_cache
counts = array.array("q", [0] * 6)
for turn in range(6):
    for _ in range(5):
        with open("/proc/self/status") as file:
            file.read()
    gc.collect()
    clear_type_cache()
    counts[turn] = sys.getallocatedblocks()
print(counts[-1] - counts[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=uncovered()
    )
    assert abs(int(done.stdout)) <= 1
