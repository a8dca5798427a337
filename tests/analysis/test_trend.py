"""The rule about one counter, on scripted series: nothing is measured here, each series is a scenario."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from hfmemdebug.analysis.series import Series, paired, spread
from hfmemdebug.analysis.trend import find_trend

FLOOR = 32.0


def scripted(
    value: Callable[[int], float],
    *,
    epochs: int = 6,
    slices: int = 25,
    rows: Callable[[int], float] = lambda index: 0.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Series:
    """A counter that is ``value(n)`` after n slices, plus what the rows of a slice do, plus noise."""
    dice = random.Random(seed)
    levels = [
        [value(epoch * slices + index + 1) + rows(index) + dice.gauss(0, noise) for index in range(slices)]
        for epoch in range(epochs)
    ]
    settled = [value(0), *(value((epoch + 1) * slices) + dice.gauss(0, noise) for epoch in range(epochs))]
    return Series(tuple(map(tuple, levels)), tuple(settled), warmup=4)


def shape(series: Series, floor: float = FLOOR) -> str:
    trend = find_trend(series, floor)
    assert trend is not None
    return trend.shape


def wild_rows(index: int) -> float:
    return random.Random(index).gauss(0, 50_000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("one small object a slice", lambda n: 64.0 * n),
        ("ten megabytes a slice", lambda n: 10e6 * n),
        ("a hundred kilobytes every tenth slice", lambda n: 1e5 * (n // 10)),
        ("quadratic", lambda n: 3.0 * n * n),
        ("a first epoch that warms up by a megabyte", lambda n: 1e6 * (1 - math.exp(-n / 5)) + 500.0 * n),
    ],
)
def test_leaks(name: str, value: Callable[[int], float]) -> None:
    assert shape(scripted(value)) == "growing"


@pytest.mark.parametrize("epochs", range(3, 40))
@pytest.mark.parametrize("tooth", [7, 16, 37])
def test_a_sawtooth_with_a_trend_is_never_cleared(tooth: int, epochs: int) -> None:
    series = scripted(lambda n: 20e3 * (n % tooth) + 9e3 * n, epochs=epochs)
    assert shape(series) in ("growing", "inconclusive")


def test_a_small_burst_needs_more_epochs_and_gets_them() -> None:
    """25 slices hold two or three of them: only over many epochs is that as regular as a leak."""
    for epochs in range(3, 10):
        assert shape(scripted(lambda n: 1024.0 * (n // 10), epochs=epochs)) in ("inconclusive", "growing")
    assert shape(scripted(lambda n: 1024.0 * (n // 10), epochs=17)) == "growing"


@pytest.mark.parametrize("epochs", [4, 6, 9])
def test_leaks_under_rows_of_varying_length(epochs: int) -> None:
    series = scripted(lambda n: 64.0 * n, rows=wild_rows, epochs=epochs, slices=100)
    trend = find_trend(series, FLOOR)
    assert trend is not None
    assert trend.shape == "growing"
    assert trend.rate == pytest.approx(64, rel=0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flat", lambda n: 5e6),
        ("filled in the first epoch", lambda n: 1e6 * min(n, 20)),
        ("a step in the first epoch", lambda n: 1e6 * (n > 10)),
        ("crumbs below the floor", lambda n: 8.0 * n),
    ],
)
def test_what_is_stable(name: str, value: Callable[[int], float]) -> None:
    assert shape(scripted(value)) == "stable"


@pytest.mark.parametrize(
    ("name", "value", "epochs"),
    [
        ("one late step", lambda n: 1e6 * (n > 60), 8),
        ("a cache that fills for three epochs", lambda n: 1e5 * min(n, 70), 8),
        ("a plateau at 60 % of the run", lambda n: 1e5 * min(n, 120), 8),
    ],
)
def test_what_grew_and_stopped(name: str, value: Callable[[int], float], epochs: int) -> None:
    assert shape(scripted(value, epochs=epochs)) in ("step", "plateau")


@pytest.mark.parametrize("epochs", range(3, 30))
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logarithm", lambda n: 1e5 * math.log(1 + n)),
        ("square root", lambda n: 1e4 * math.sqrt(n)),
        ("a sawtooth without a trend", lambda n: 16e3 * (n % 37)),
        ("a sawtooth as long as an epoch", lambda n: 1e3 * (n % 25)),
        ("a sawtooth that ends each epoch higher", lambda n: 20e3 * (n % 16)),
        ("shrinking", lambda n: -1e4 * n),
        ("a first epoch that warms up, then noise", lambda n: 1e6 * (1 - math.exp(-n / 3))),
    ],
)
def test_never_called_a_leak(name: str, value: Callable[[int], float], epochs: int) -> None:
    assert shape(scripted(value, epochs=epochs)) != "growing"


@pytest.mark.parametrize(
    ("name", "value", "epochs"),
    [
        ("starts in the last epoch", lambda n: 1e5 * max(0, n - 75), 4),
        ("masked by something that shrinks", lambda n: 1e4 * abs(n - 60), 4),
        ("grew and has only just stopped", lambda n: 1e5 * min(n, 75), 4),
        ("seen once more", lambda n: 1e5 * n, 3),
    ],
)
def test_what_is_left_open(name: str, value: Callable[[int], float], epochs: int) -> None:
    trend = find_trend(scripted(value, epochs=epochs), FLOOR)
    assert trend is not None
    assert trend.shape == "inconclusive"
    assert trend.needs is not None


@pytest.mark.parametrize("seed", range(200))
def test_noise_is_not_called_a_leak(seed: int) -> None:
    for slices in (6, 25, 50):
        for epochs in (3, 4, 6, 9):
            series = scripted(lambda n: 0.0, noise=300.0, seed=seed, slices=slices, epochs=epochs)
            assert shape(series) != "growing", (slices, epochs)


def test_growth_with_each_start_of_an_epoch_is_no_leak_per_slice() -> None:
    slices = 20
    series = scripted(lambda n: 9000.0 * ((n - 1) // slices if n else 0), slices=slices, epochs=7)
    settled = tuple(9000.0 * epoch for epoch in range(8))
    assert shape(Series(series.epochs, settled, 4)) in ("step", "inconclusive")


@pytest.mark.parametrize("noise", [0.0, 100.0, 1000.0])
def test_the_resolution_is_true(noise: float) -> None:
    """A leak of the size that a clean run says it would have seen does not pass for none."""
    passed = 0
    for seed in range(100):
        clean = find_trend(scripted(lambda n: 0.0, noise=noise, epochs=8, seed=seed), FLOOR)
        assert clean is not None
        planted = scripted(
            lambda n, size=1.01 * clean.resolution: size * n, noise=noise, epochs=8, seed=1000 + seed
        )
        passed += shape(planted) not in ("growing", "inconclusive")
    assert passed <= 5


@pytest.mark.parametrize("left", [1, 3, 12, 13, 20, 24])
def test_a_last_epoch_that_was_cut_changes_nothing(left: int) -> None:
    def cut(value: Callable[[int], float]) -> Series:
        whole = scripted(value)
        levels = whole.epochs[-1][:left]
        return Series((*whole.epochs[:-1], levels), (*whole.settled[:-1], levels[-1]), whole.warmup)

    assert shape(cut(lambda n: 64.0 * n)) == "growing"
    assert shape(cut(lambda n: 0.0)) == "stable"
    trend = find_trend(cut(lambda n: 640.0 * n), FLOOR)
    assert trend is not None
    assert trend.rate == pytest.approx(640)


def test_a_single_epoch_is_never_enough_for_a_leak() -> None:
    assert shape(scripted(lambda n: 1e4 * n, epochs=1)) == "inconclusive"
    assert shape(scripted(lambda n: 7.0, epochs=1)) == "stable"


def test_what_could_not_be_read_is_not_judged() -> None:
    nothing = Series(((None,) * 10,) * 4, (None,) * 5)
    assert find_trend(nothing, FLOOR) is None
    assert find_trend(Series(((1.0, 2.0),)), FLOOR) is None


def test_gaps_between_readings_do_not_matter() -> None:
    """malloc is read on a clock of its own, so that most slices have no reading."""
    full = scripted(lambda n: 80.0 * n, slices=50)
    gaps = tuple(tuple(v if i % 7 == 0 else None for i, v in enumerate(epoch)) for epoch in full.epochs)
    assert shape(Series(gaps, full.settled, 4)) == "growing"


def test_without_settled_values_the_paired_slices_decide() -> None:
    full = scripted(lambda n: 64.0 * n, rows=wild_rows)
    assert shape(Series(full.epochs, (None,) * 7, 4)) == "growing"
    flat = scripted(lambda n: 0.0, rows=wild_rows)
    assert shape(Series(flat.epochs, (None,) * 7, 4)) == "stable"


def test_the_control_is_taken_away() -> None:
    library = scripted(lambda n: 100.0 * n, rows=wild_rows)
    both = scripted(lambda n: 164.0 * n, rows=wild_rows)
    trend = find_trend(both.minus(library), FLOOR)
    assert trend is not None
    assert trend.rate == pytest.approx(64)
    assert shape(library.minus(library)) == "stable"


def test_pairs_leave_the_warmup_out() -> None:
    series = Series(((1.0, 2.0, 3.0), (11.0, 12.0, 13.0), (21.0, 22.0, 23.0)), warmup=2)
    assert paired(series) == [[10.0], [10.0, 10.0, 10.0]]


def test_spread_ignores_an_outlier() -> None:
    assert spread([1.0, 2.0, 3.0, 2.0, 1000.0]) < 3
    assert spread([5.0]) == 0


@pytest.mark.parametrize("tooth", [37, 130])
def test_below_a_sawtooth_the_lows_show_what_stays(tooth: int) -> None:
    series = scripted(lambda n: 9e3 * (n % tooth) + 2e3 * n, slices=50, epochs=28)
    trend = find_trend(series, FLOOR)
    assert trend is not None
    assert (trend.shape, trend.rate) == ("growing", pytest.approx(2000, rel=0.1))
    flat = scripted(lambda n: 9e3 * (n % tooth), slices=50, epochs=28)
    assert shape(flat) == "stable"


@pytest.mark.parametrize("epochs", range(3, 28))
def test_what_falls_again_has_not_stopped(epochs: int) -> None:
    """By the epochs' ends alone, a sawtooth with a trend rose, fell and stood still."""
    series = scripted(lambda n: 20e3 * (n % 37) + 2e3 * n, slices=50, epochs=epochs)
    assert shape(series) in ("growing", "inconclusive")


@pytest.mark.parametrize("at", [0, 3, 49])
def test_one_slice_of_an_epoch_may_hold_all_of_a_leak(at: int) -> None:
    series = scripted(lambda n: 3200.0 * ((n - 1 - at) // 50 + 1), slices=50)
    # Without a control it may be what starting an epoch costs the library; nothing of it is in the control here.
    assert shape(series) in ("step", "growing", "inconclusive")
    trend = find_trend(series, FLOOR, start_cost=0.0)
    assert trend is not None
    assert trend.shape == "growing"
    as_the_control = find_trend(series, FLOOR, start_cost=3000.0)
    assert as_the_control is not None
    assert as_the_control.shape == shape(series)


def test_noise_is_acquitted_once_it_cannot_have_hidden_more_than_itself() -> None:
    shapes = [shape(scripted(lambda n: 0.0, noise=3e5, seed=seed, epochs=28)) for seed in range(40)]
    assert shapes.count("stable") >= 30
    assert "growing" not in shapes
    leaking = [shape(scripted(lambda n: 3e4 * n, noise=3e5, seed=seed, epochs=28)) for seed in range(40)]
    assert set(leaking) <= {"growing", "inconclusive"}


@pytest.mark.parametrize("epochs", range(4, 40))
def test_a_buffer_that_doubles_ever_more_seldom_is_not_cleared(epochs: int) -> None:
    series = scripted(lambda n: 2.0 ** math.ceil(math.log2(10_000 * n + 1)), slices=50, epochs=epochs)
    assert shape(series) in ("growing", "inconclusive")


def test_a_table_that_doubled_until_it_held_everything_is_cleared() -> None:
    series = scripted(lambda n: 2.0 ** math.ceil(math.log2(10_000 * min(n, 210) + 1)), slices=50, epochs=20)
    assert shape(series) in ("step", "plateau")
