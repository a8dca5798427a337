"""What the traces of workers say per slice, on scripted ones; that they are taken, the corpus shows."""

from __future__ import annotations

from leaks import held

from hfmemdebug.leak import Site
from hfmemdebug.measure.workers import per_slice
from hfmemdebug.recording.end import ProcessTrace, Trace


def trace(pid: int, *, start: float, end: float, size: float, line: int = 3) -> ProcessTrace:
    site = Site("/code/work.py", line, "keep", "python", size, size / 100, 1.0)
    holder = held("list", "kept", growth_per_iteration=size / 100)
    return ProcessTrace(pid, 0.0, start, end, sites=(site,), holders=(holder,))


def test_what_two_workers_keep_adds_up() -> None:
    # Ten slices a second, of which the one was looked at for two seconds and the other for four.
    slices = [number / 10 for number in range(100)]
    found = per_slice(
        [trace(1, start=1.05, end=3.05, size=20_000.0), trace(2, start=1.05, end=5.05, size=40_000.0)],
        slices,
        rate=2_000.0,
    )
    (site,) = found.sites
    assert (site.line, site.bytes_per_iteration, site.count_per_iteration) == (3, 2000.0, 20.0)
    assert site.share == 1.0
    assert found.holders[0].growth_per_iteration == 10.0


def test_lines_come_by_what_they_keep() -> None:
    slices = [float(number) for number in range(10)]
    found = per_slice(
        [trace(1, start=0.5, end=4.5, size=40.0), trace(2, start=0.5, end=4.5, size=4000.0, line=9)],
        slices,
        rate=1010.0,
    )
    assert [site.line for site in found.sites] == [9, 3]
    assert [site.share for site in found.sites] == [0.99, 0.01]


def test_a_worker_that_ended_before_the_first_slice_says_nothing() -> None:
    found = per_slice([trace(1, start=0.0, end=1.0, size=100.0)], [2.0, 3.0], rate=100.0)
    assert found == Trace()
