"""One counter of one arm as numbers: epochs of slices, and the settled value at each epoch's end."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import linear_regression, median

from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import ArmSample, Sample

# After this step nothing is left that the collector, the pools or malloc could give back.
SETTLED = "trim"


@dataclass(frozen=True)
class Series:
    """A counter's values, in bytes unless it counts things.

    Attributes:
        epochs: For each epoch the value after each slice; None where it was not read.
        settled: For each epoch the value after settling, the start's first; None where not read.
        warmup: Slices at the start of the first epoch that are not judged.
    """

    epochs: tuple[tuple[float | None, ...], ...]
    settled: tuple[float | None, ...] = ()
    warmup: int = 0

    @property
    def slices(self) -> int:
        """Slices in a whole epoch."""
        return max((len(epoch) for epoch in self.epochs), default=0)

    def minus(self, other: Series) -> Series:
        """This arm without what its control does too, slice by slice."""
        return Series(
            tuple(
                tuple(_minus(a, b) for a, b in zip(mine, theirs, strict=False))
                for mine, theirs in zip(self.epochs, other.epochs, strict=False)
            ),
            tuple(_minus(a, b) for a, b in zip(self.settled, other.settled, strict=False)),
            self.warmup,
        )

    @staticmethod
    def total(series: Sequence[Series]) -> Series:
        """The sum of counters that own different bytes."""
        first, *others = series
        negated = [s.scaled(-1) for s in others]
        for other in negated:
            first = first.minus(other)
        return first

    def scaled(self, factor: float) -> Series:
        """All values multiplied."""
        return Series(
            tuple(tuple(None if v is None else factor * v for v in epoch) for epoch in self.epochs),
            tuple(None if v is None else factor * v for v in self.settled),
            self.warmup,
        )


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


@dataclass(frozen=True)
class Epochs:
    """The samples of a recording, by epoch.

    Attributes:
        slices: For each epoch its slice samples.
        settled: The settled sample of the start and of each epoch; None where the epoch was cut.
    """

    slices: tuple[tuple[ArmSample, ...], ...]
    settled: tuple[ArmSample | None, ...] = field(default=())
    warmup: int = 0

    @classmethod
    def of(cls, recording: Recording) -> Epochs:
        """Sorts the samples of a recording."""
        count = max((s.epoch for s in recording.samples if s.kind == "slice"), default=0)
        slices: list[list[ArmSample]] = [[] for _ in range(count)]
        settled: list[ArmSample | None] = [None] * (count + 1)
        for sample in recording.samples:
            if sample.kind == "slice":
                slices[sample.epoch - 1].append(sample)
            elif sample.step in (SETTLED, "start") and sample.epoch <= count:
                settled[sample.epoch] = sample
        warmup = sum(sample.warmup for sample in slices[0]) if slices else 0
        return cls(tuple(tuple(epoch) for epoch in slices), tuple(settled), warmup)

    def series(self, name: str) -> Series:
        """One field of the samples; ``anon_swap`` is the sum of two."""
        return Series(
            tuple(tuple(value(sample, name) for sample in epoch) for epoch in self.slices),
            tuple(None if sample is None else value(sample, name) for sample in self.settled),
            self.warmup,
        )


def value(sample: Sample, name: str) -> float | None:
    """A field of a sample; ``anon_swap`` is anonymous memory with what of it was swapped out."""
    if name == "anon_swap":
        return None if sample.anon is None else sample.anon + (sample.swap or 0)
    found = getattr(sample, name, None)
    return None if found is None else float(found)


def paired(series: Series) -> list[list[float]]:
    """For each pair of neighbouring epochs, how much higher each slice's value is in the later one.

    The same slice holds the same rows in every epoch, so that what rows of varying length do to the
    counter cancels. A leak of r bytes a slice shows as r times the slices in an epoch at each of them.
    Warm-up slices have no pair in the first epoch.
    """
    pairs: list[list[float]] = []
    for number, (before, after) in enumerate(zip(series.epochs, series.epochs[1:], strict=False)):
        skip = series.warmup if number == 0 else 0
        pairs.append(
            [
                b - a
                for index, (a, b) in enumerate(zip(before, after, strict=False))
                if index >= skip and a is not None and b is not None
            ]
        )
    return pairs


def spread(values: Sequence[float]) -> float:
    """Standard deviation by the median absolute deviation (factor 1.4826 for normal noise)."""
    if len(values) < 2:
        return 0.0
    middle = median(values)
    return 1.4826 * median(abs(v - middle) for v in values)


def median_slope(points: Sequence[tuple[float, float]]) -> float:
    """Returns the median of the slopes between any two points (Theil and Sen), which no single step moves."""
    pairs = itertools.combinations(points, 2)
    return median((b - a) / (y - x) for (x, a), (y, b) in pairs if x != y)


def fit_line(values: Sequence[float]) -> tuple[float, float]:
    """Fits a line to equally spaced values by least squares.

    Returns:
        Growth from one to the next, and twice its standard error.
    """
    places = range(len(values))
    line = linear_regression(places, values)
    left = sum(
        (value - line.slope * x - line.intercept) ** 2 for x, value in zip(places, values, strict=True)
    )
    return line.slope, 2 * sqrt(left / (len(values) - 2) / (len(values) * (len(values) ** 2 - 1) / 12))
