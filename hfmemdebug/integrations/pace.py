"""How fast a figure grows while a program goes on, in constant room."""

from __future__ import annotations

from array import array
from itertools import combinations
from statistics import median


class Pace:
    """How fast a figure grows, from at most 64 readings, however many there were: what watches must not grow."""

    _MOST = 64
    _LEAST = 8

    def __init__(self) -> None:
        self._steps, self._values = array("q", [0] * self._MOST), array("q", [0] * self._MOST)
        self._count = 0
        self._every = 1

    def add(self, step: int, value: int) -> None:
        """Takes a reading, or leaves it out where enough are known."""
        if step % self._every:
            return
        if self._count == self._MOST:
            self._every *= 2
            kept = [place for place in range(self._MOST) if self._steps[place] % self._every == 0]
            for to, place in enumerate(kept):
                self._steps[to], self._values[to] = self._steps[place], self._values[place]
            self._count = len(kept)
            if step % self._every:
                return
        self._steps[self._count], self._values[self._count] = step, value
        self._count += 1

    def rate(self) -> float | None:
        """The median slope of the later half of the readings (Theil and Sen), a step; None for too few."""
        if self._count < self._LEAST:
            return None
        places = range(self._count // 2, self._count)
        slopes = [
            (self._values[b] - self._values[a]) / (self._steps[b] - self._steps[a])
            for a, b in combinations(places, 2)
            if self._steps[b] != self._steps[a]
        ]
        return median(slopes) if slopes else None
