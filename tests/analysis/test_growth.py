"""Each scenario is a shape that somebody has met; noise is that of a fixed seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from hfmemdebug.analysis.growth import comes_evenly, find_growth

MB = float(1 << 20)
FLOOR = MB
READINGS = 120


def shape_of(
    shape: Callable[[float], float], *, noise: float = 0.0, readings: int = READINGS, tolerance: float = 0.0
) -> str | None:
    """The decision about a counter that has `shape` megabytes as time goes from 0 to 1, and garbage above it."""
    chance = random.Random(7)
    points = [
        (i / 10, MB * (100 + shape(i / readings) + abs(chance.gauss(0, noise)))) for i in range(readings)
    ]
    trend = find_growth(points, FLOOR, tolerance=tolerance)
    return trend.shape if trend is not None else None


GROWING: dict[str, Callable[[float], float]] = {
    "even": lambda t: 50 * t,
    "a little slower at the end": lambda t: 50 * t - 4 * t * t,
    "ever faster": lambda t: 50 * t * t,
    "behind a sawtooth": lambda t: 50 * t + 20 * (t * 40 % 1),
    "behind a warm-up": lambda t: 50 * t + 100 * min(t / 0.2, 1),
    "in small steps": lambda t: math.floor(60 * t),
}
BENIGN: dict[str, Callable[[float], float]] = {
    "flat": lambda t: 0,
    "one step": lambda t: 80 * (t > 0.5),
    "two steps": lambda t: 40 * (t > 0.3) + 40 * (t > 0.5),
    "a queue that fills": lambda t: 80 * min(t / 0.4, 1),
    "a cache that fills for half the run": lambda t: 80 * min(t / 0.55, 1),
    "a sawtooth": lambda t: 20 * (t * 40 % 1),
}
OPEN: dict[str, Callable[[float], float]] = {
    "a logarithm": lambda t: 60 * math.log(1 + 50 * t),
    "a vocabulary": lambda t: 80 * t**0.7,
    "a large vocabulary": lambda t: 80 * t**0.78,
    "a square root": lambda t: 80 * math.sqrt(t),
    "a slow sawtooth": lambda t: 80 * (t * 3 % 1),
    "a sawtooth of nearly the whole run": lambda t: 80 * (t * 1.5 % 1),
    "a little behind a slow sawtooth": lambda t: 8 * t + 80 * (t * 3 % 1),
    "a little behind epochs out of step": lambda t: 8 * t + 20 * (t * 6.8 % 1),
    "one step in the last window": lambda t: 80 * (t > 0.93),
    "what shrinks": lambda t: 80 * (1 - t),
    "fits and starts": lambda t: 40 * math.floor(3 * t),
}


@pytest.mark.parametrize("name", GROWING)
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_leaks_grow(name: str, noise: float) -> None:
    assert shape_of(GROWING[name], noise=noise) == "growing"


@pytest.mark.parametrize("name", BENIGN)
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_what_stops_does_not(name: str, noise: float) -> None:
    assert shape_of(BENIGN[name], noise=noise, tolerance=2 * MB) in ("stable", "step", "plateau")


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_what_is_not_plain_is_never_called_a_leak(name: str, noise: float) -> None:
    assert shape_of(OPEN[name], noise=noise) in ("inconclusive", "stable")


def test_epochs_need_not_keep_step_with_the_windows() -> None:
    def epochs(t: float) -> float:
        return 20 * (t * 6.8 % 1)

    assert shape_of(epochs, readings=600, tolerance=2 * MB) == "stable"


def test_what_grows_behind_epochs_is_not_called_none() -> None:
    for name in ("a little behind a slow sawtooth", "a little behind epochs out of step"):
        assert shape_of(OPEN[name], readings=600, tolerance=2 * MB) != "stable"


def test_noise_may_hide_a_little_and_the_resolution_says_how_much() -> None:
    chance = random.Random(1)
    points = [(i / 10, MB * (100 + abs(chance.gauss(0, 10)))) for i in range(READINGS)]
    trend = find_growth(points, FLOOR, tolerance=8 * MB)
    assert trend is not None
    assert trend.shape in ("stable", "inconclusive")
    assert trend.resolution * 12 > MB


def test_what_passes_for_its_share_of_the_memory_is_said_to_be_unseen() -> None:
    chance = random.Random(1)
    points = [(i / 10, MB * (100 + i / 70 + abs(chance.gauss(0, 3)))) for i in range(READINGS)]
    trend = find_growth(points, FLOOR, tolerance=8 * MB)
    assert trend is not None
    assert trend.shape == "stable"
    assert trend.resolution >= trend.high > MB / 11.9


def test_the_rate_is_for_one_unit_of_work() -> None:
    trend = find_growth([(rows, 3000.0 * rows) for rows in range(1000)], FLOOR)
    assert trend is not None
    assert trend.rate == pytest.approx(3000, rel=0.01)
    assert trend.low <= trend.rate <= trend.high


def test_growth_below_the_floor_is_none() -> None:
    assert shape_of(lambda t: 0.9 * t) == "stable"
    assert shape_of(lambda t: 1.2 * t) == "growing"


def test_too_few_readings_say_nothing() -> None:
    assert shape_of(GROWING["even"], readings=20) is None
    assert find_growth([], FLOOR) is None
    assert find_growth([(5.0, float(i)) for i in range(100)], FLOOR) is None


def test_work_that_came_in_bursts() -> None:
    # A worker's queue hands out a third of all rows at once.
    work = [float(i) if i < 50 else 50.0 + i for i in range(100)]
    grows = find_growth([(x, i * MB / 10) for i, x in enumerate(work)], FLOOR)
    assert grows is not None
    assert (grows.shape, grows.needs) == ("inconclusive", "too few samples in some windows")
    assert grows.high >= grows.rate > 0
    flat = find_growth([(x, i % 3 * 1024.0) for i, x in enumerate(work)], FLOOR)
    assert flat is not None
    assert flat.shape == "stable"


def test_work_comes_evenly_where_it_was_looked_at_all_through() -> None:
    assert comes_evenly([float(i) for i in range(40)])
    assert comes_evenly([100.0] + [100.0 + i for i in range(40)])
    assert not comes_evenly([float(i) if i < 50 else 50.0 + i for i in range(100)])


@pytest.mark.parametrize("readings", range(22, 60))
def test_of_few_readings_even_growth_is_even(readings: int) -> None:
    """Two or three of them fall into a window, and its lowest value is now the first third's and now the half's."""
    trend = find_growth([(float(i), 1.5 * MB * i) for i in range(readings)], FLOOR)
    assert trend is not None
    assert trend.shape == "growing", trend.needs


def test_a_worker_that_is_done_before_the_others_has_not_slowed_down() -> None:
    points = [(float(i), 1.5 * MB * min(i, 20.5)) for i in range(24)]
    trend = find_growth(points, FLOOR)
    assert trend is not None
    assert trend.shape == "growing", trend.needs
