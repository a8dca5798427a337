"""The rate of a figure that is looked at all along: right after any number of readings, in constant room."""

from __future__ import annotations

import random
import sys

import pytest

from hfmemdebug.integrations.pace import Pace


@pytest.mark.parametrize("steps", [8, 63, 64, 65, 1000, 12_345])
@pytest.mark.parametrize("first", [1, 501])
def test_a_ramp_after_a_warmup(steps: int, first: int) -> None:
    pace, dice = Pace(), random.Random(steps)
    for step in range(first, first + steps):
        warm = min(step - first, steps // 4) * 1e6
        pace.add(step, int(3e8 + warm + 1000 * (step - first) + dice.uniform(-100, 100)))
    rate = pace.rate()
    assert rate is not None
    # Few readings: the later half is next to the warm-up.
    assert rate == pytest.approx(1000, rel=0.1)


def test_flat_and_too_few() -> None:
    pace = Pace()
    for step in range(1, 8):
        pace.add(step, 5)
        assert pace.rate() is None
    pace.add(8, 5)
    assert pace.rate() == 0


def test_it_takes_no_more_room() -> None:
    pace = Pace()
    # A count of 0 is smaller than all others up to Python 3.11.
    pace.add(1, 1)
    size = [sys.getsizeof(value) for value in vars(pace).values()]
    for step in range(2, 5000):
        pace.add(step, step)
    assert [sys.getsizeof(value) for value in vars(pace).values()] == size
