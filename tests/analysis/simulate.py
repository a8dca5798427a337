"""How often the rule about one counter is wrong, over scripted series of many shapes, seeded.

    python tests/analysis/simulate.py [--runs N] [--only PATTERN]

Each series goes through what `diagnose` does with it: epochs are added while the answer is open, and what grew is
confirmed by a longer run of the same kind. Prints, for each shape, how often it is called a leak, cleared or left open.
"""

from __future__ import annotations

import argparse
import collections
import fnmatch
import itertools
import math
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from hfmemdebug.analysis.series import Series
from hfmemdebug.analysis.trend import Trend, find_trend
from hfmemdebug.measure.session import DOSE, EPOCHS

FLOOR = 32.0
# What a run of two minutes gets to where a slice takes 50 ms.
MOST_EPOCHS = 28

# A counter's value after each slice, for ever. The dice are its own.
Shape = Callable[[random.Random], Iterator[float]]


def leak(value: Callable[[int], float]) -> Shape:
    """A function of the slices read."""
    return lambda dice: (value(n) for n in itertools.count(1))


def linear(rate: float) -> Shape:
    return leak(lambda n: rate * n)


def bursts(period: int, size: float) -> Shape:
    return leak(lambda n: size * (n // period))


def starts_at(first: int, rate: float) -> Shape:
    return leak(lambda n: rate * max(0, n - first))


def of_random_size(mean: float) -> Shape:
    def values(dice: random.Random) -> Iterator[float]:
        total = 0.0
        while True:
            total += dice.expovariate(1 / mean)
            yield total

    return values


def of_some_rows(share: float, size: float) -> Shape:
    """Of fifty slices in turn, some have a row that is kept each time that it is read."""

    def values(dice: random.Random) -> Iterator[float]:
        held = [size * (0.5 + dice.random()) if dice.random() < share else 0.0 for _ in range(50)]
        held[dice.randrange(50)] = size
        return itertools.accumulate(itertools.cycle(held))

    return values


def doubling(rate: float) -> Shape:
    """A list of pointers, which is made larger by an eighth whenever it is full."""

    def values(dice: random.Random) -> Iterator[float]:
        room = 0.0
        for n in itertools.count(1):
            if rate * n > room:
                room = rate * n * 1.125 + 48
            yield room

    return values


def twice_as_large(rate: float) -> Shape:
    """A buffer that is made twice as large whenever it is full."""
    return leak(lambda n: 1024.0 * 2 ** math.ceil(math.log2(max(1.0, rate * n / 1024))))


def window(width: int, largest: float, rate: float = 0.0) -> Shape:
    """The last few blocks of random sizes, and a leak beside them."""

    def values(dice: random.Random) -> Iterator[float]:
        held: collections.deque[float] = collections.deque(maxlen=width)
        for n in itertools.count(1):
            held.append(dice.uniform(0, largest))
            yield sum(held) + rate * n

    return values


def sawtooth(period: int, tooth: float, rate: float = 0.0) -> Shape:
    return leak(lambda n: tooth * (n % period) + rate * n)


def shrinking(slices: int, rate: float, leaking: float = 0.0) -> Shape:
    return leak(lambda n: rate * max(0, slices - n) + leaking * n)


def plateau(slices: int, rate: float) -> Shape:
    return leak(lambda n: rate * min(n, slices))


def exponential(slices: float, total: float) -> Shape:
    return leak(lambda n: total * (1 - math.exp(-n / slices)))


def coupons(keys: int, draws: int, size: float) -> Shape:
    def values(dice: random.Random) -> Iterator[float]:
        seen: set[int] = set()
        while True:
            seen.update(dice.randrange(keys) for _ in range(draws))
            yield size * len(seen)

    return values


def largest_so_far(mean: float) -> Shape:
    def values(dice: random.Random) -> Iterator[float]:
        largest = 0.0
        while True:
            largest = max(largest, dice.expovariate(1 / mean))
            yield largest

    return values


def queue(size: float, load: float) -> Shape:
    def values(dice: random.Random) -> Iterator[float]:
        waiting = 0
        while True:
            for _ in range(10):
                waiting += dice.random() < load / 2
                waiting -= waiting > 0 and dice.random() < 0.5
            yield size * waiting

    return values


def steps(size: float, *slices: int) -> Shape:
    return leak(lambda n: size * sum(n >= at for at in slices))


def random_steps(size: float, within: int, count: int) -> Shape:
    def values(dice: random.Random) -> Iterator[float]:
        at = [dice.randrange(within) for _ in range(count)]
        return (size * sum(n >= one for one in at) for n in itertools.count(1))

    return values


def replaced(blocks: int, largest: float) -> Shape:
    """One of some buffers at a time is replaced by one of another size."""

    def values(dice: random.Random) -> Iterator[float]:
        held = [0.0] * blocks
        while True:
            held[dice.randrange(blocks)] = dice.lognormvariate(0, 1) * largest / 4
            yield sum(held)

    return values


def wandering(size: float, pull: float) -> Shape:
    """A noise that remembers: an autoregression of the first order."""

    def values(dice: random.Random) -> Iterator[float]:
        level = 0.0
        while True:
            level = pull * level + dice.gauss(0, size)
            yield level

    return values


LEAKS: dict[str, Shape] = {
    "64 bytes a slice": linear(64),
    "80 bytes a slice": linear(80),
    "3 KB a slice": linear(3000),
    "2 MB a slice": linear(2e6),
    "3 KB every 7th": bursts(7, 3000),
    "4 KB every 10th": bursts(10, 4000),
    "10 KB every 33rd": bursts(33, 10_000),
    "1 KB every 10th": bursts(10, 1024),
    "500 KB every 60th": bursts(60, 5e5),
    "from the second epoch on": starts_at(50, 2000),
    "from the third epoch on": starts_at(100, 2000),
    "from slice 130 on": starts_at(130, 2000),
    "random sizes around 200": of_random_size(200),
    "random sizes around 5000": of_random_size(5000),
    "a few rows in fifty slices": of_some_rows(0.1, 3000),
    "one row in fifty slices": of_some_rows(0.0, 4000),
    "quadratic": leak(lambda n: 3.0 * n * n),
    "power of 1.5": leak(lambda n: 200.0 * n**1.5),
    "square root": leak(lambda n: 200_000.0 * n**0.5),
    "a growing list of pointers": doubling(100),
    "a buffer that doubles": twice_as_large(10_000),
    "a buffer that doubles slowly": twice_as_large(300),
    "in a window of noise": window(10, 200_000, 20_000),
    "small in a window of noise": window(10, 200_000, 1000),
    "in a sawtooth of 37": sawtooth(37, 20_000, 2000),
    "in a sawtooth of 130": sawtooth(130, 9000, 2000),
    "behind what shrinks": shrinking(130, 16_000, 8000),
    "behind a slow warm-up": leak(lambda n: 1e6 * (1 - math.exp(-n / 40)) + 1000 * n),
    "behind a step": leak(lambda n: 3e5 * (n >= 140) + 1000 * n),
    "in every second epoch": leak(lambda n: 4000.0 * (50 * (n // 100) + max(0, n % 100 - 50))),
    "in the first 15 of 50": leak(lambda n: 2000.0 * (15 * (n // 50) + min(n % 50, 15))),
    "in the last 5 of 50": leak(lambda n: 2000.0 * (5 * (n // 50) + max(0, n % 50 - 45))),
}
HARMLESS: dict[str, Shape] = {
    "flat": linear(0),
    "crumbs of 12 bytes": linear(12),
    "warm-up over 20 slices": exponential(20, 1e6),
    "warm-up over 60 slices": exponential(60, 1e6),
    "warm-up over 150 slices": exponential(150, 1e6),
    "full after 60 slices": plateau(60, 10_000),
    "full after 120 slices": plateau(120, 10_000),
    "full after 160 slices": plateau(160, 10_000),
    "full after 180 slices": plateau(180, 10_000),
    "full after 300 slices": plateau(300, 10_000),
    "full after 600 slices": plateau(600, 4000),
    "logarithm": leak(lambda n: 2e5 * math.log(n)),
    "coupons, 40 keys": coupons(40, 1, 50_000),
    "coupons, 400 keys": coupons(400, 2, 5000),
    "coupons, 3000 keys": coupons(3000, 100, 1000),
    "the largest so far": largest_so_far(200_000),
    "a busy queue": queue(10_000, 0.9),
    "a queue at its limit": queue(10_000, 0.98),
    "one late step": random_steps(3e5, 200, 1),
    "two steps": random_steps(3e5, 200, 2),
    "four steps": random_steps(3e5, 250, 4),
    "eight steps": random_steps(1e5, 400, 8),
    "a window of noise": window(10, 200_000),
    "a window of 80": window(80, 50_000),
    "buffers replaced": replaced(50, 200_000),
    "sawtooth of 7": sawtooth(7, 20_000),
    "sawtooth of 37": sawtooth(37, 20_000),
    "sawtooth of 101": sawtooth(101, 20_000),
    "sawtooth of 130": sawtooth(130, 9000),
    "sawtooth of 190": sawtooth(190, 9000),
    "sawtooth of 500": sawtooth(500, 3000),
    "shrinking for 130 slices": shrinking(130, 16_000),
    "wandering fast": wandering(2000, 0.8),
    "wandering slowly": wandering(2000, 0.98),
}


@dataclass(frozen=True)
class Setting:
    """How a series is read.

    Attributes:
        slices: In an epoch.
        noise: Of each reading, one standard deviation in bytes.
        most: Epochs at most.
        sparse: Of the slices, two in each epoch are read: malloc is costly where the machine is busy.
    """

    slices: int = 50
    noise: float = 0.0
    most: int = MOST_EPOCHS
    sparse: bool = False


class Reader:
    """Epochs of one series, made as they are asked for.

    Args:
        shape: The counter.
        setting: How it is read.
        seed: Of its own dice and of the noise.
    """

    def __init__(self, shape: Shape, setting: Setting, seed: str) -> None:
        self._values = shape(random.Random(seed))
        self._noise = random.Random(seed + " noise")
        self._setting = setting
        self._levels: list[tuple[float | None, ...]] = []
        self._settled = [self._noise.gauss(0, setting.noise)]

    def read(self, epochs: int) -> Trend:
        """What is said of the first so many epochs."""
        noise = self._setting.noise
        while len(self._levels) < epochs:
            clean = [next(self._values) for _ in range(self._setting.slices)]
            seen = self._noise.sample(range(self._setting.slices), 2 if self._setting.sparse else len(clean))
            self._levels.append(
                tuple(v + self._noise.gauss(0, noise) if i in seen else None for i, v in enumerate(clean))
            )
            self._settled.append(clean[-1] + self._noise.gauss(0, noise))
        trend = find_trend(
            Series(tuple(self._levels[:epochs]), tuple(self._settled[: epochs + 1]), 4), FLOOR, start_cost=0.0
        )
        assert trend is not None
        return trend


def decide(reader: Reader, most: int, epochs: int = EPOCHS) -> tuple[Trend, int]:
    """Adds epochs while the answer is open."""
    while True:
        trend = reader.read(epochs)
        more = epochs + max(1, epochs // 2)
        if trend.shape != "inconclusive" or more > most:
            return trend, epochs
        epochs = more


def diagnose(shape: Shape, setting: Setting, seed: str) -> str:
    """The two rounds of a diagnosis: ``leak``, ``no-leak`` or ``inconclusive``."""
    first, epochs = decide(Reader(shape, setting, seed + " first"), setting.most)
    again = Reader(shape, setting, seed + " second")
    if first.grows:
        second, _ = decide(again, setting.most, epochs=min(DOSE * epochs, setting.most))
        return "leak" if second.grows else "inconclusive"
    second, epochs = decide(again, setting.most)
    if second.grows:
        second = again.read(min(DOSE * epochs, setting.most))
    if second.grows:
        return "leak"
    return "inconclusive" if "inconclusive" in (first.shape, second.shape) else "no-leak"


def rates(shape: Shape, setting: Setting, runs: int) -> collections.Counter[str]:
    """How often each verdict came."""
    return collections.Counter(diagnose(shape, setting, str(seed)) for seed in range(runs))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="of each cell (default: 20)")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="names of shapes, as a glob")
    options = parser.parse_args()
    settings = [
        Setting(slices, noise, most)
        for slices, most in ((50, 28), (50, 9), (25, 13), (25, 28))
        for noise in (0.0, 300.0)
    ] + [Setting(50, 0.0, 28, sparse=True), Setting(50, 300.0, 14, sparse=True)]
    wrong: collections.Counter[str] = collections.Counter()
    for truth, shapes in (("leak", LEAKS), ("no-leak", HARMLESS)):
        print(
            f"{truth:<28}"
            + "".join(f"{f'{s.slices}x{s.most}~{s.noise:g}{chr(42) * s.sparse}':>14}" for s in settings)
        )
        for name, shape in shapes.items():
            if not fnmatch.fnmatch(name, options.only):
                continue
            cells = [rates(shape, setting, options.runs) for setting in settings]
            for cell in cells:
                wrong[truth] += cell["no-leak" if truth == "leak" else "leak"]
                wrong[truth + " open"] += cell["inconclusive"]
                wrong[truth + " all"] += options.runs
            shown = (f"{c['leak']}/{c['no-leak']}/{c['inconclusive']}" for c in cells)
            print(f"{name:<28}" + "".join(f"{cell:>14}" for cell in shown), flush=True)
    for truth in ("leak", "no-leak"):
        if wrong[truth + " all"]:
            print(
                f"{truth}: {wrong[truth]} of {wrong[truth + ' all']} decided wrongly, "
                f"{wrong[truth + ' open']} left open"
            )


if __name__ == "__main__":
    main()
