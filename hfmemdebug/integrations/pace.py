"""How fast a figure grows while a program goes on, in constant room."""

from __future__ import annotations

from array import array

from hfmemdebug.analysis.series import median_slope


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
        points = list(zip(self._steps, self._values, strict=True))[self._count // 2 : self._count]
        return median_slope(points) if points[0][0] != points[-1][0] else None
