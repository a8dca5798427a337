"""Decides whether a counter grows with work, from epochs over the same rows against a control.

We run the loop, so the experiment does the work that statistics cannot: the same rows are read again and again,
each epoch ends settled (collected, pools and malloc trimmed), and the same rows without the user's code are taken
away. Epochs are compared with each other, never slices within one: rows of varying length, a collection's sawtooth
and what the first epoch warms up are then no part of the difference. Of a series, the growth per slice of each epoch
after the first is averaged in at most four blocks, and the last three blocks decide: all above the floor and alike is
a leak; the last two flat is none; all else is open, and the session reads more epochs.

Tried before, and dropped:

- Tests of a slope within one run (least squares, Mann-Kendall): they call 40 to 80 % of harmless series a leak, since
  warm-ups, steps and caches that fill trend too. Machida et al. (ISSREW 2013) found the same of Mann-Kendall.
- Counting how often a counter rose (Scalene's score), and repeating with a larger dose at once (psleak): a cache that
  fills for as long as one looks passes both. The dose is kept as a confirmation: see `confirm`.
- An interval alone: noise that remembers (an autoregression) has narrow intervals around the wrong rate. Widening by
  the first autocorrelation changed no answer of `tests/analysis/simulate.py`, and is gone.

Open: a cache that is full only after the run, or a sawtooth longer than it, is a leak by its counters; the trace and
the bounds of live objects tell. `simulate.py` has the error rates by shape and noise.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, median, stdev

from hfmemdebug.analysis.series import Series, fit_line, paired, spread

# Three blocks in a row that grow, by about the same amount: one is a step and two may be the start of a
# plateau (a cache that fills for two epochs and stops). One block before them may be anything.
BLOCKS_TO_CONVICT = 3
MOST_BLOCKS = BLOCKS_TO_CONVICT + 1
# What grew and stopped has stopped when two blocks in a row are flat.
BLOCKS_TO_ACQUIT = BLOCKS_TO_CONVICT - 1
# Two figures are alike where one is at least this share of the other. What fills fades by more: a logarithm grows by
# 0.41, 0.29 and 0.22 in its second to fourth block, a square root by 0.41, 0.32 and 0.27. Malloc gives 80 bytes or 96
# for the same request (0.83), which is the least even leak that there is.
STEADY = 0.8
# Below this rate per slice are single small objects. A leak of one is as regular as the loop; libraries' caches that
# warm up over hundreds of calls scatter, and libraries lose 40 to 100 bytes a slice in release after release.
LIBRARY_OVERHEAD = 256.0
# A straight line of n values spans sqrt(12) = 3.46 times their standard deviation; with less than 0.8 of that, what
# wanders as programs/noise_window does is never cleared.
SPREADS_IN_NOISE = 3.0
# From so many epochs on, what is left of a trend in noise may be called none: it hid less than the noise moves.
EPOCHS_IN_NOISE = BLOCKS_TO_CONVICT * MOST_BLOCKS
# Epochs in a part of a run, where only their ends were read.
WIDTHS = (2, 3)


@dataclass(frozen=True)
class Trend:
    """The decision about one counter.

    Attributes:
        shape: ``"growing"``, ``"step"``, ``"plateau"``, ``"stable"`` or ``"inconclusive"``.
        rate: Growth per slice over the judged part.
        low: Lower bound of the rate.
        high: Upper bound of the rate.
        growth: Change over the judged part.
        resolution: A leak of this many bytes a slice would not have passed for none: epochs would have
            gone on until it was told from the noise.
        needs: Why it is open; None where it is decided.
    """

    shape: str
    rate: float
    low: float
    high: float
    growth: float
    resolution: float
    needs: str | None = None

    @property
    def grows(self) -> bool:
        """True for a leak's shape."""
        return self.shape == "growing"

    @property
    def may_grow(self) -> bool:
        """True for a leak's shape, and where that is open."""
        return self.shape in ("growing", "inconclusive")


def find_trend(series: Series, floor: float, *, start_cost: float | None = None) -> Trend | None:
    """Decides what a series does.

    Args:
        series: The counter.
        floor: Growth per slice below which nothing is called growth.
        start_cost: What the control, which was taken away, grows by in an epoch; None without a control.

    Returns:
        None where the counter could not be read.
    """
    if len(series.epochs) > 1:
        rates = epoch_rates(series)
    else:
        rates = _part_rates(series)
    if not rates:
        return None
    slices = max(series.slices, 1)
    growth = _growth(series)
    blocks = _blocks(rates)
    rate = mean(rates)
    noise = _noise(series, rates, slices)
    low, high = rate - noise, rate + noise
    resolution = floor + noise
    shape, needs = _shape(rates, blocks, rate, noise, floor)
    several = len(series.epochs) > 1
    if shape == "growing" and several:
        shape, needs = _reject_sawtooth(series, rate, floor)
    elif shape == "inconclusive" and several:
        lowest = _rate_of_lows(series, floor) if _goes_up_and_down(rates, floor) else None
        if lowest is not None:
            shape, needs, rate = "growing", None, lowest
            low, high = min(low, rate), max(high, rate)
        elif _is_lost_in_noise(series):
            shape, needs = "stable", None
    if shape == "growing" and several and (start_cost is None or STEADY * rate * slices <= start_cost):
        # Without a control, whatever comes with the start of an epoch may be the library's.
        shape, needs = _follows_slices(series, rate)
    if shape == "growing" and len(series.epochs) == 1:
        # Libraries keep something for each part of the data that is touched for the first time.
        shape, needs = "inconclusive", "it grew while these rows were read for the first time"
    if shape == "growing":
        low = max(low, min(blocks))
    return Trend(shape, rate, low, high, growth, resolution, needs)


def epoch_rates(series: Series) -> list[float]:
    """Growth per slice in each epoch after the first.

    The settled values decide where they were read: a collection's sawtooth is not in them, and what the
    first epoch warmed up was there when it ended. Else the median over the slices of the paired
    differences does, whose first pair has the warm-up in it and is left out where there are others.
    """
    slices = max(series.slices, 1)
    rates: list[float] = []
    if any(value is None for value in series.settled[1:]) and len(series.epochs) > 2:
        series = Series(series.epochs[1:], series.settled[1:])
    for number, differences in enumerate(paired(series), start=1):
        settled = series.settled[number : number + 2]
        if len(settled) == 2 and settled[0] is not None and settled[1] is not None:
            # A training that ends by a number of steps cuts its last epoch: a few slices drown in the noise of one end.
            if 2 * (read := len(series.epochs[number])) >= slices:
                rates.append((settled[1] - settled[0]) / read)
        elif differences and len(differences) >= slices // 2:
            rates.append(median(differences) / slices)
    return rates


def _part_rates(series: Series) -> list[float]:
    """For a single epoch: growth per slice between its quarters, by their medians."""
    values = [v for v in series.epochs[0][series.warmup :] if v is not None] if series.epochs else []
    size = len(values) // MOST_BLOCKS
    if size == 0:
        return []
    values = values[len(values) - MOST_BLOCKS * size :]
    middles = [median(values[part * size : (part + 1) * size]) for part in range(MOST_BLOCKS)]
    return [(b - a) / size for a, b in itertools.pairwise(middles)]


def _blocks(rates: Sequence[float]) -> list[float]:
    """At most four blocks of neighbouring rates, each their mean: bursts even out as epochs are added."""
    count = min(MOST_BLOCKS, len(rates))
    edges = [round(block * len(rates) / count) for block in range(count + 1)]
    return [mean(rates[a:b]) for a, b in itertools.pairwise(edges)]


def _noise(series: Series, rates: Sequence[float], slices: int) -> float:
    """Half the width of the rate's interval, per slice."""
    between = 2 * stdev(rates) / sqrt(len(rates)) if len(rates) > 1 else 0.0
    pairs = paired(series)
    if not pairs:
        values = [v for v in series.epochs[0][series.warmup :] if v is not None]
        return max(between, 2 * spread(values) / max(len(values), 1))
    # Within one pair of epochs the differences scatter as one reading does.
    within = 2 * spread(pairs[-1]) / slices / sqrt(len(rates))
    return max(between, within)


def _lows(series: Series) -> list[float]:
    """The lowest value of each epoch after the first; none where most of one's slices were not read."""
    lows = []
    for epoch in series.epochs[1:]:
        known = [v for v in epoch if v is not None]
        if 2 * len(known) < len(epoch) or not known:
            return []
        lows.append(min(known))
    return lows


def rate_of_rising_lows(series: Series) -> float | None:
    """Growth per slice of the epochs' lowest values, where those of the end lie above all of the beginning."""
    for lows, slices in _kinds_of_lows(series):
        third = len(lows) // 3
        if third and min(lows[-third:]) > max(lows[:third]):
            return (lows[-1] - lows[0]) / (len(lows) - 1) / slices
    return None


def _reject_sawtooth(series: Series, rate: float, floor: float) -> tuple[str, str | None]:
    """Keeps a decision for growth where the lowest value of an epoch rises with the epochs' ends.

    A sawtooth whose period does not divide an epoch ends each epoch a little higher than the one before,
    for a while, and falls to the same low in all of them.
    """
    slices = max(series.slices, 1)
    lows = _lows(series)
    if len(lows) < 2 or (lows[-1] - lows[0]) / (len(lows) - 1) / slices >= rate / 2:
        return "growing", None
    if max(lows) - min(lows) <= floor * slices:
        return "stable", None
    return "inconclusive", "epoch-end values rose, epoch minima did not"


def _rate_of_lows(series: Series, floor: float) -> float | None:
    """The growth per slice of the epochs' lowest values, where these rise as a leak does; None where not.

    Below what comes and goes (a buffer that is emptied when it is full, a window of blocks of random sizes) the
    lows are what stays, and they scatter less than the ends of epochs do.
    """
    for lows, slices in _kinds_of_lows(series):
        rates = [(b - a) / slices for a, b in itertools.pairwise(lows)]
        blocks = _blocks(rates) if rates else []
        if len(blocks) < MOST_BLOCKS or min(blocks) <= floor or not _is_steady(blocks, mean(rates)):
            continue
        slope = _slope(series.settled[1:])
        if slope is None or slope[0] / max(series.slices, 1) >= mean(rates) / 2:
            return mean(rates)
    return None


def _kinds_of_lows(series: Series) -> Iterator[tuple[list[float], int]]:
    """Lowest values in parts of a run, and the slices in a part: of the slices, where these were read.

    Where malloc is costly to read, most slices have no reading: then of the ends of two epochs, or of three.
    """
    slices = max(series.slices, 1)
    lows = _lows(series)
    if lows:
        yield lows, slices
        return
    ends = [v for v in series.settled[1:] if v is not None]
    for width in WIDTHS if len(ends) == len(series.settled[1:]) else ():
        first = len(ends) % width
        yield [min(ends[i : i + width]) for i in range(first, len(ends), width)], width * slices


def _slope(levels: Sequence[float | None]) -> tuple[float, float, float] | None:
    """Growth per epoch of the epochs' settled values, twice its error, and the values' spread; None for too few."""
    known = [v for v in levels if v is not None]
    if len(known) != len(levels) or len(known) < MOST_BLOCKS:
        return None
    return *fit_line(known), stdev(known)


def _is_lost_in_noise(series: Series) -> bool:
    """True where a long run moved by more than can have grown in it, and ends in between."""
    levels = series.settled[1:]
    found = _slope(levels) if len(levels) >= EPOCHS_IN_NOISE else None
    if found is None:
        return False
    slope, error, spread_of_levels = found
    known = [v for v in levels if v is not None]
    # One that is highest at its end by a good deal has perhaps only just begun to grow.
    ends_in_between = known[-1] <= max(known[:-1]) + spread_of_levels / 4
    return ends_in_between and (abs(slope) + error) * len(known) <= SPREADS_IN_NOISE * spread_of_levels


def _follows_slices(series: Series, rate: float) -> tuple[str, str | None]:
    """Keeps a decision for growth where it follows the slices, and not only the start of each epoch.

    A stream that is opened anew loses a few kilobytes each time, however many slices it then gives. Within
    an epoch, the later half of the slices is compared with the earlier half.
    """
    inner = []
    for epoch in series.epochs[1:]:
        half = len(epoch) // 2
        early = [v for v in epoch[:half] if v is not None]
        late = [v for v in epoch[-half:] if v is not None] if half else []
        if early and late:
            inner.append((mean(late) - mean(early)) / (len(epoch) - half))
    if not inner:
        return "growing", None
    error = 2 * stdev(inner) / sqrt(len(inner)) if len(inner) > 1 else 0.0
    if mean(inner) - error > rate / 2 or mean(inner) > STEADY * rate:
        return "growing", None
    if mean(inner) + error < rate / 2:
        return "step", None
    return "inconclusive", "it grew from epoch to epoch, perhaps not with the slices"


def _growth(series: Series) -> float:
    """From the end of the first epoch, or of the warm-up where there is one epoch, to the end."""
    settled = [v for v in series.settled[1:] if v is not None]
    if len(settled) > 1:
        return settled[-1] - settled[0]
    values = [v for epoch in series.epochs for v in epoch][series.warmup :]
    known = [v for v in values if v is not None]
    return known[-1] - known[0] if known else 0.0


def _shape(
    rates: Sequence[float], blocks: Sequence[float], rate: float, noise: float, floor: float
) -> tuple[str, str | None]:
    above = [block > floor for block in blocks]
    if all(above) and rate > noise:
        if len(blocks) < BLOCKS_TO_CONVICT:
            return "inconclusive", "too few epochs"
        if _is_steady(blocks[-BLOCKS_TO_CONVICT:], rate) and min(blocks[-BLOCKS_TO_CONVICT:]) > _error(rates):
            return "growing", None
        return "inconclusive", "growth rate decreasing or irregular"
    if not any(above):
        tail = blocks[-BLOCKS_TO_ACQUIT:]
        if min(tail) < -floor:
            return "inconclusive", "usage decreased; a leak may be masked"
        if rate + noise < floor or len(blocks) > BLOCKS_TO_ACQUIT:
            return "stable", None
        return "inconclusive", "noise above the detection threshold"
    if above[-1]:
        return "inconclusive", "it grew at the end"
    last_growth = max(index for index, grew in enumerate(above) if grew)
    if _goes_up_and_down(rates, floor):
        return "inconclusive", "usage rises and falls"
    if _is_geometric_growth(rates, floor):
        return "inconclusive", "it grew in ever larger steps; the next one may be due"
    if len(blocks) - 1 - last_growth >= BLOCKS_TO_ACQUIT:
        return ("step" if sum(above) == 1 else "plateau"), None
    return "inconclusive", "it grew, and may have stopped"


def _is_geometric_growth(rates: Sequence[float], floor: float) -> bool:
    """True where it grew as a buffer does that doubles whenever it is full, and the next time is not long overdue.

    The steps are larger each time, and as many times farther apart.
    """
    steps = [(epoch, rate) for epoch, rate in enumerate(rates, start=2) if rate > floor][-BLOCKS_TO_CONVICT:]
    if len(steps) < BLOCKS_TO_CONVICT:
        return False
    larger = all(b > a for (_, a), (_, b) in itertools.pairwise(steps))
    (before, _), (last, _) = steps[-2:]
    return larger and len(rates) + 1 < last * last / before / STEADY


def _goes_up_and_down(rates: Sequence[float], floor: float) -> bool:
    return min(rates) < -max(floor, (1 - STEADY) * max(rates))


def _error(rates: Sequence[float]) -> float:
    """One standard error of each of the last blocks: what moves by chance grows in three in a row now and then."""
    later = rates[len(rates) // MOST_BLOCKS if len(rates) >= MOST_BLOCKS else 0 :]
    return stdev(later) / sqrt(len(later) / BLOCKS_TO_CONVICT) if len(later) > 1 else 0.0


def _is_steady(blocks: Sequence[float], rate: float) -> bool:
    if rate < LIBRARY_OVERHEAD:
        return min(blocks) >= STEADY * max(blocks)
    return blocks[-1] >= STEADY * max(blocks)
