"""Decides whether a counter of a watched program grows with its work: one run, no control, no settling.

Only what a program never gives back counts: the lowest value of each of eight windows of equal work. Garbage that
waits for its collector, batches in flight and buffers that come and go lie above it. What is called growth rises from
window to window to the end, in no single step and not ever more slowly, as a leak does and a cache, a warm-up or a
queue that fills does not. Where that is not plain, the answer is open.

Tried before, and dropped: tests of a slope over all readings (see `trend`), and of the end against the start (on 104
labelled programs, "RSS ended 5 MB higher" is right on 54, tests of a slope on 56 to 68, and counters that rise in
every quarter, in no single step and without fading, on 98: that is what the windows are). The
median slope (Theil and Sen) is kept: by least squares three programs of the corpus got other answers, since one step in
the last windows tilts a line of eight.

Open: a vocabulary that grows by the 0.8th power of the text is told from a leak only where the noise is less than the
bend, and then left open. What follows new rows is not told from what follows calls.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import sqrt
from statistics import fmean, linear_regression, median, stdev

from hfmemdebug.analysis.series import median_slope, spread
from hfmemdebug.analysis.trend import BLOCKS_TO_CONVICT, STEADY, Trend

# The first quarter is imports, first batches and allocators that settle.
WARMUP = 0.25
WINDOWS = 8
# In each window at least two readings, or its lowest one is no lowest one.
LEAST_POINTS = 2 * WINDOWS
_NOISE = "noise above the detection threshold"


def find_growth(
    points: Sequence[tuple[float, float]], floor: float, *, tolerance: float = 0.0, seldom: bool = False
) -> Trend | None:
    """Decides what a counter does.

    Args:
        points: Work done (rows or seconds, never falling) and the counter's value there.
        floor: Growth over the whole run below which nothing is called growth.
        tolerance: Growth over the whole run that may go unseen in noise and still be called none.
        seldom: The counter is read more seldom than it is told, so that a window may have no news.

    Returns:
        Rates are for one unit of work. None where there are too few readings to say anything.
    """
    if len(points) < 2:
        return None
    first, last = points[0][0], points[-1][0]
    span = last - first
    judged = [(x, y) for x, y in points if x >= first + WARMUP * span]
    if span <= 0 or len(judged) < LEAST_POINTS:
        return None
    found = _lows(judged)
    if found is None:
        grown = judged[-1][1] - judged[0][1]
        # When it grew between two bursts is not known: all of it may have been a leak's.
        most = (max(y for _, y in judged) - min(y for _, y in judged)) / span
        if most * span <= max(floor, tolerance):
            return Trend("stable", grown / span, -most, most, grown, max(floor / span, most))
        return Trend("inconclusive", grown / span, 0.0, most, grown, most, "too few samples in some windows")
    lows = [low for _, low in found]
    per_window, error = _slope(lows)
    unit = WINDOWS / (judged[-1][0] - judged[0][0])
    shape, needs = _shape(judged, found, floor, max(floor, tolerance), span * unit, seldom=seldom)
    low, high = (per_window - error) * unit, (per_window + error) * unit
    # What passed for none, because it is a small share of all the memory, may have grown.
    seen = max(floor / span, high - low, high if shape == "stable" else 0.0)
    needs = needs if shape == "inconclusive" else None
    return Trend(shape, per_window * unit, low, high, lows[-1] - lows[0], seen, needs)


def _shape(
    judged: Sequence[tuple[float, float]],
    found: Sequence[tuple[float, float]],
    floor: float,
    small: float,
    windows: float,
    *,
    seldom: bool,
) -> tuple[str, str | None]:
    """Decides by the lows of the windows.

    Args:
        judged: All readings after the warm-up.
        found: The lows.
        floor: As of `find_growth`.
        small: Growth over the whole run that may pass for none.
        windows: How many windows the whole run has, its warm-up counted.
        seldom: As of `find_growth`.

    Returns:
        The shape, and why it is open where it is.
    """
    lows = [low for _, low in found]
    rises = [b - a for a, b in itertools.pairwise(lows)]
    per_window, error = _slope(lows)
    total = lows[-1] - lows[0]
    clear = (per_window - error) * windows >= floor
    if rises[-1] + rises[-2] + rises[-3] < -max(small, 3 * error):
        settled = not clear and _comes_and_goes(judged, small)
        return "stable" if settled else "inconclusive", "usage decreased; a leak may be masked"
    if not clear and (per_window + error) * windows <= small and total <= small:
        return "stable", None
    # Of even growth, the last three windows have their share.
    if lows[-1] - lows[-4] <= max((1 - STEADY) * 3 / (WINDOWS - 1) * (max(lows) - lows[0]), floor / 4):
        noise = 2 * spread(rises)
        if total > small + noise:
            return "step" if 2 * max(rises) > total else "plateau", None
        quiet = noise <= small or _is_level(judged, small) or _comes_and_goes(judged, small)
        return "stable" if quiet else "inconclusive", _NOISE
    if not clear:
        quiet = _is_level(judged, small) or _comes_and_goes(judged, small)
        return "stable" if quiet else "inconclusive", _NOISE
    early, late = _pace(found[0], found[WINDOWS // 2 - 1]), _pace(found[WINDOWS // 2], found[-1])
    at_the_end = rises[-1] + rises[-2] - per_window / 2 if seldom else min(rises[-2:])
    if min(rises) < -per_window / 2 or at_the_end <= 0:
        return "inconclusive", "irregular growth"
    if 2 * max(rises) > total:
        return "inconclusive", "much of it came in one step"
    # By the last window alone it does not: the worker that leaks may have done its part before the others have.
    if late < STEADY * early or (_slows(found) and _slows(found[:-1])):
        return "inconclusive", "growth rate decreasing"
    return "growing", None


def comes_evenly(work: Sequence[float]) -> bool:
    """True where there are readings all through some work, so that it can be told when a counter grew in it."""
    start = work[0] + WARMUP * (work[-1] - work[0])
    return _lows([(x, 0.0) for x in work if x >= start]) is not None


def _is_level(judged: Sequence[tuple[float, float]], small: float) -> bool:
    """True where the windows' means rule out growth of more than this: of what comes and goes they vary less."""
    first, last = judged[0][0], judged[-1][0]
    windows: list[list[float]] = [[] for _ in range(WINDOWS)]
    for x, y in judged:
        windows[min(WINDOWS - 1, int((x - first) / (last - first) * WINDOWS))].append(y)
    means = [fmean(window) for window in windows]
    slope, error = _slope(means)
    return (abs(slope) + error) * WINDOWS <= small


def _comes_and_goes(judged: Sequence[tuple[float, float]], small: float) -> bool:
    """True where it came back to the same lows in each third, and to no higher highs, as what epochs make anew does.

    What grows raises both. Epochs and windows need not keep step with each other.
    """
    first, last = judged[0][0], judged[-1][0]
    thirds: list[list[float]] = [[] for _ in range(BLOCKS_TO_CONVICT)]
    for x, y in judged:
        thirds[min(BLOCKS_TO_CONVICT - 1, int((x - first) / (last - first) * BLOCKS_TO_CONVICT))].append(y)
    lows, highs = [min(third) for third in thirds], [max(third) for third in thirds]
    higher = max(later - earlier for earlier, later in itertools.combinations(highs, 2))
    return max(lows) - min(lows) <= small / 2 and higher <= small / 2


def _slope(values: Sequence[float]) -> tuple[float, float]:
    """Growth from window to window, and twice its standard error."""
    slope = median_slope(list(enumerate(values)))
    middle = median(value - slope * i for i, value in enumerate(values))
    residuals = [value - middle - slope * i for i, value in enumerate(values)]
    return slope, 2 * stdev(residuals) / sqrt(WINDOWS * (WINDOWS**2 - 1) / 12)


def _pace(start: tuple[float, float], end: tuple[float, float]) -> float:
    """Growth for one unit of work. Where few readings fall into a window, its lowest may lie anywhere in it."""
    return (end[1] - start[1]) / (end[0] - start[0])


def _slows(points: Sequence[tuple[float, float]]) -> bool:
    """True where a parabola through the points shows a pace that falls, by more than twice its error."""
    xs, ys = zip(*points, strict=True)
    line, tilt = linear_regression(xs, ys), linear_regression(xs, [x * x for x in xs])
    # What the line leaves of the values, by what it leaves of a square: the latter's factor is the parabola's.
    rests = [y - line.slope * x - line.intercept for x, y in points]
    bends = [x * x - tilt.slope * x - tilt.intercept for x in xs]
    bend = linear_regression(bends, rests).slope
    left = sum((rest - bend * each) ** 2 for rest, each in zip(rests, bends, strict=True))
    error = 2 * sqrt(left / (len(points) - 3) / sum(each * each for each in bends))
    first, last = (line.slope + bend * (2 * x - tilt.slope) for x in (xs[0], xs[-1]))
    # Over fewer windows the same bend makes less of a difference.
    fall = (1 - STEADY) * (len(points) - 1) / (WINDOWS - 1)
    return -bend > error and last < (1 - fall) * first


def _lows(judged: Sequence[tuple[float, float]]) -> list[tuple[float, float]] | None:
    """The first of the lowest points in each of the windows of equal work; None where a window is empty."""
    first, last = judged[0][0], judged[-1][0]
    lows: list[tuple[float, float] | None] = [None] * WINDOWS
    for x, y in judged:
        window = min(WINDOWS - 1, int((x - first) / (last - first) * WINDOWS)) if last > first else 0
        known = lows[window]
        if known is None or y < known[1]:
            lows[window] = x, y
    found = [low for low in lows if low is not None]
    return found if len(found) == WINDOWS else None
