"""Which slices an experiment reads: as many as tell, in the time and the memory that there are."""

from __future__ import annotations

from dataclasses import replace

from hfmemdebug.errors import InputError
from hfmemdebug.measure.settings import Settings
from hfmemdebug.recording.header import LoadReport
from hfmemdebug.workload.slices import SlicePlan, plan_slices

# What the slices of a whole run would hold if the user's code kept them all, as a share of what may be used.
KEPT_SHARE = 0.25
# An epoch is long enough to be compared with others from this many slices on, if the data have as many.
FEWEST_SLICES = 6
# With the user's code in it, an epoch must be long enough for leaks that come every tenth slice.
FEWEST_SLICES_WITH_CONSUMER = 25
# What the arms' loops should take together where nothing says otherwise.
LOOP_SECONDS = 0.8
LOOP_SECONDS_WITH_CONSUMER = 6.0


def choose_slices(
    settings: Settings,
    report: LoadReport,
    *,
    bytes_per_row: float,
    seconds_per_row: float,
    epochs: int,
    arms: int,
    available: int | None,
    fewest_that_tell: bool,
) -> SlicePlan:
    """The slices that every epoch reads.

    Args:
        settings: What the user asked for.
        report: What was loaded.
        bytes_per_row: What a row costs in memory.
        seconds_per_row: What it costs in time, the user's code included.
        epochs: How often they will be read.
        arms: How many arms read them at the same time.
        available: Bytes that may be used, where they are known.
        fewest_that_tell: Read no more of them than decides, where the user has not said how many.
    """
    plan = plan_slices(
        report.rows,
        bytes_per_row=bytes_per_row,
        step=report.step or settings.step,
        iterations=settings.iterations,
        read_all=settings.read_all,
    )
    if settings.step is None and settings.consumer is not None and available is not None:
        kept = 2 * epochs * plan.rows_per_epoch * bytes_per_row * arms
        if kept > KEPT_SHARE * available:
            plan = replace(plan, step=max(1, int(plan.step * KEPT_SHARE * available / kept)))
    if fewest_that_tell and settings.iterations is None and not settings.read_all:
        seconds = LOOP_SECONDS if settings.consumer is None else LOOP_SECONDS_WITH_CONSUMER
        fewest = FEWEST_SLICES if settings.consumer is None else FEWEST_SLICES_WITH_CONSUMER
        affordable = int(seconds / epochs / max(seconds_per_row * plan.step, 1e-6))
        plan = replace(plan, count=min(plan.count, max(fewest, affordable)))
    return plan


def fit_into_memory(plan: SlicePlan, data_bytes: int | None, share: float | None) -> tuple[SlicePlan, bool]:
    """As many of the planned rows as may be held in memory, and whether that is the whole dataset.

    Raises:
        InputError: Not even one slice fits.
    """
    if plan.rows is None or data_bytes is None or share is None:
        return plan, True
    if plan.rows_per_epoch >= plan.rows and data_bytes <= share:
        return plan, True
    slice_bytes = data_bytes / plan.rows * plan.step
    count = min(plan.count, int(share / max(slice_bytes, 1.0)))
    if count < 1:
        raise InputError(
            f"one slice of {plan.step:,} rows takes more memory than an arm may use",
            next="Choose a smaller --step.",
        )
    # The same spread over the dataset, with fewer slices where all of them do not fit.
    return replace(plan, count=count, packed=True), False
