from __future__ import annotations

import json
import random
from itertools import pairwise

import pytest

from hfmemdebug.workload.slices import MAX_SLICE_BYTES, MAX_SLICES, SlicePlan, plan_slices


def ranges(plan: SlicePlan) -> list[tuple[int, int]]:
    return [(plan.start(i), plan.start(i) + plan.length(i)) for i in range(plan.count)]


def check(plan: SlicePlan, rows: int) -> None:
    """Slices never overlap, stay within the rows, and reach from the first to the last one."""
    spans = ranges(plan)
    assert spans[0][0] == 0
    assert all(0 <= start < end <= rows for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    if plan.count > 1:
        assert spans[-1][1] == rows
    assert all(end - start == plan.step for start, end in spans[:-1])
    assert plan.rows_per_epoch == sum(end - start for start, end in spans)
    assert plan.rows_per_epoch <= rows
    assert json.loads(json.dumps(plan.to_dict())) == plan.to_dict()
    assert SlicePlan(**plan.to_dict()) == plan


@pytest.mark.parametrize("seed", range(300))
def test_any_plan_is_sound(seed: int) -> None:
    random_ = random.Random(seed)
    rows = random_.choice([1, 2, 3, 49, 50, 51, 999, 10**6, 7_270_695, 3 * 10**9, random_.randint(1, 10**5)])
    plan = plan_slices(
        rows,
        bytes_per_row=random_.choice([0.0, 1.0, 1500.0, 10.0**6, 10.0**10]),
        step=random_.choice([None, 1, 7, 1000, 10**12]),
        iterations=random_.choice([None, 1, 2, 3, 50, 999]),
    )
    check(plan, rows)


@pytest.mark.parametrize("rows", [1, 2, 50, 51, 1000, 1001, 123_457])
@pytest.mark.parametrize("step", [None, 1, 13, 10**9])
def test_all_reads_every_row_once(rows: int, step: int | None) -> None:
    if step == 1 and rows > 10_000:
        step = 2
    plan = plan_slices(rows, bytes_per_row=100.0, step=step, read_all=True)
    check(plan, rows)
    seen = [row for start, end in ranges(plan) for row in (start, end)]
    assert seen[0] == 0
    assert plan.rows_per_epoch == rows


def test_by_default_fifty_slices_at_most() -> None:
    plan = plan_slices(1_000_000, bytes_per_row=1500.0)
    assert plan.count == MAX_SLICES
    assert plan.step == 20_000
    assert plan.rows_per_epoch == 1_000_000


def test_a_slice_is_never_larger_than_promised() -> None:
    plan = plan_slices(10**7, bytes_per_row=100_000.0)
    assert plan.step * 100_000 <= MAX_SLICE_BYTES
    assert plan.count == MAX_SLICES
    assert plan.rows_per_epoch < 0.02 * 10**7


def test_billions_of_rows_are_planned_without_counting_them() -> None:
    plan = plan_slices(5 * 10**9, bytes_per_row=1000.0)
    check(plan, 5 * 10**9)
    assert plan.rows_per_epoch * 1000 <= MAX_SLICES * MAX_SLICE_BYTES


def test_a_row_larger_than_a_slice_may_be_is_read_alone() -> None:
    assert plan_slices(10, bytes_per_row=10.0**12).step == 1


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows(rows: int) -> None:
    plan = plan_slices(rows, bytes_per_row=8.0)
    assert (plan.count, plan.step) == (rows, 1)
    assert plan_slices(rows, bytes_per_row=8.0, step=1000).count == 1
    assert plan_slices(rows, bytes_per_row=8.0, step=1000).length(0) == rows


def test_what_the_user_says_holds() -> None:
    plan = plan_slices(1_000_000, bytes_per_row=10.0**7, step=5000, iterations=7)
    assert (plan.step, plan.count) == (5000, 7)
    assert plan_slices(100, bytes_per_row=1.0, step=10, iterations=7).count == 7
    assert plan_slices(100, bytes_per_row=1.0, step=10, iterations=70).count == 10, "there are no more"


def test_spread_is_even() -> None:
    plan = plan_slices(1_000_003, bytes_per_row=1.0, step=10, iterations=50)
    gaps = [after[0] - before[0] for before, after in pairwise(ranges(plan))]
    assert max(gaps) - min(gaps) <= 1


def test_a_stream_has_no_length() -> None:
    plan = plan_slices(None, bytes_per_row=100.0)
    assert (plan.rows, plan.step, plan.count) == (None, 1000, MAX_SLICES)
    assert plan_slices(None, bytes_per_row=10.0**7).step == MAX_SLICE_BYTES // 10**7
    assert plan_slices(None, bytes_per_row=1.0, step=5, iterations=3).rows_per_epoch == 15
