"""What one owner of a watched program's memory did, and points of it over the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hfmemdebug.analysis.trend import Trend
from hfmemdebug.recording.sample import ProcessSample

MB = 1 << 20
# `run` has no control: growth of less than this over the whole run is nobody's leak.
FLOOR_OVER_RUN = 1.0 * MB
EXACT = ("python", "malloc", "arrow")
# Things that pile up: this many more over a run are more than any program's housekeeping.
THINGS = {"children": 8.0, "threads": 16.0, "fds": 32.0}


@dataclass(frozen=True)
class CounterTrend:
    """What one owner of memory did.

    Attributes:
        name: ``python``, ``malloc``, ``arrow``, ``other`` (anonymous memory that no counter owns), ``pages``
            (all anonymous memory, where there are no counters), ``shmem``, ``dev_shm`` (everybody's), ``segments``
            (those of it that the program has made), or a key of `THINGS`.
        growth: Its growth, for one iteration: 1000 rows, or a second.
        gained: How much each process has gained from first to last, those that gained most first.
        filled: It has filled memory that was asked for before, and can get no larger than that.
    """

    name: str
    growth: Trend
    gained: tuple[tuple[ProcessSample, float], ...] = ()
    filled: bool = False


def points(work: Sequence[float], values: Sequence[float | None]) -> list[tuple[float, float]]:
    """The samples at which a value is known: work done until then, and the value."""
    return [(x, y) for x, y in zip(work, values, strict=True) if y is not None]
