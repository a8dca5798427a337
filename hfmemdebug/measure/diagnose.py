"""`diagnose`: the controlled experiment, and the same from Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hfmemdebug.analysis.verdict import assess_all, find_guilty_of, what_to_repeat
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.measure.budget import Budget
from hfmemdebug.measure.profile import Measured
from hfmemdebug.measure.session import ArmKind, Listener, Round
from hfmemdebug.measure.settings import Settings
from hfmemdebug.measure.workers import LEAST_SECONDS, trace_workers
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.store import cache_folder
from hfmemdebug.result import Result

BUDGET_SECONDS = 120.0
# Enough rows for the mapped pages to stand out on any machine (300 MB), written within a second.
SYNTHETIC_ROWS = 200_000


def rounds(*, consumer: bool, streaming: bool, limited: bool = False) -> list[list[ArmKind]]:
    """The arms, by the rounds in which they run side by side.

    The user's code is measured against the same rows without it, in both modes: what grows in one pair
    is confirmed in the other, in fresh processes.
    """
    if streaming:
        kinds = [ArmKind("streaming", "streaming", False)]
        return [[*kinds, ArmKind("streaming + consumer", "streaming", True)] if consumer else kinds]
    if not consumer and limited:
        # Pages that both map would be charged to one of them alone.
        return [[ArmKind("memory-mapped", "mmap", False)], [ArmKind("in-memory", "in-memory", False)]]
    if not consumer:
        return [[ArmKind("memory-mapped", "mmap", False), ArmKind("in-memory", "in-memory", False)]]
    return [
        [ArmKind("memory-mapped", "mmap", False), ArmKind("memory-mapped + consumer", "mmap", True)],
        [ArmKind("in-memory", "in-memory", False), ArmKind("in-memory + consumer", "in-memory", True)],
    ]


def run_diagnosis(settings: Settings, folder: Path, listen: Listener) -> Measured:
    """Runs all arms.

    Args:
        settings: What the user asked for.
        folder: Where the recordings go.
        listen: Takes every event of the arms.

    Raises:
        HfmemdebugError: The dataset or the consumer could not be loaded.
    """
    asked = settings.epochs is not None or settings.iterations is not None or settings.read_all
    budget = Budget(settings.budget, default=BUDGET_SECONDS, asked=asked)
    recordings: list[Recording] = []
    failures: list[str] = []
    planned = rounds(
        consumer=settings.consumer is not None,
        streaming=settings.reads_stream,
        limited=settings.limit is not None,
    )
    dose: int | None = None
    last = len(planned)
    for number, kinds in enumerate(planned, start=1):
        measuring = Round(
            settings,
            "diagnose",
            kinds,
            folder,
            listen,
            clock=budget,
            earlier=recordings,
            dose=dose,
            confirm_here=number >= last,
        )
        recordings.extend(measuring.run())
        failures.extend(measuring.failures())
        if measuring.interrupted or failures or budget.is_over():
            break
        assessed = assess_all(recordings)
        if number < last:
            dose = measuring.dose() if any(assessment.growing for assessment in assessed) else None
        elif number == last and (slices := what_to_repeat(assessed)) is not None:
            dose = measuring.repetition(slices)
            if dose is not None:
                # What a longer run contradicts is measured for as long, and its first recordings make way.
                planned.append(planned[0])
                names = {kind.name for kind in planned[0]}
                recordings = [r for r in recordings if r.header.arm.name not in names]
    timed_out = budget.is_over()
    guilty = find_guilty_of(recordings)
    # Tracing takes memory of its own, which a limit might not leave.
    undisturbed = not (measuring.interrupted or failures or settings.limit)
    if undisturbed and guilty and guilty.leaks_in_children_alone and budget.left > LEAST_SECONDS:
        assert measuring.plan is not None
        traced = trace_workers(settings, guilty, measuring.plan, listen, recordings, budget.left)
        recordings = [traced if r is guilty.recording else r for r in recordings]
    return Measured(
        tuple(recordings), measuring.interrupted, tuple(failures), timed_out, measuring.unreadable()
    )


def synthetic_dataset(cache: Path | None = None) -> Path:
    """The dataset that is used where none is named, built on first use.

    Args:
        cache: The folder that holds it; by default `$XDG_CACHE_HOME/hfmemdebug`.
    """
    from hfmemdebug.data.synthesize import synthesize

    folder = (cache or cache_folder()) / f"synthetic-{SYNTHETIC_ROWS}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    return synthesize(folder, rows=SYNTHETIC_ROWS).path


def diagnose(
    dataset: str | os.PathLike[str] | None = None,
    config: str | None = None,
    *,
    split: str | None = None,
    consumer: str | None = None,
    step: int | None = None,
    epochs: int | None = None,
    iterations: int | None = None,
    streaming: bool = False,
    budget: float | None = None,
    limit: int | None = None,
    min_leak: float | None = None,
    **spec: Any,
) -> Result:
    """Runs the controlled experiment and returns its result, as the command of the same name does.

    Args:
        dataset: A `save_to_disk` folder, a file or glob, or a name on the Hub; None builds a synthetic one.
        config: The configuration of a dataset on the Hub.
        split: The split.
        consumer: ``FILE.py:FUNC`` or ``MODULE:FUNC``, called with each slice.
        step: Rows in a slice.
        epochs: Epochs; more may follow where the answer is open.
        iterations: Slices in an epoch.
        streaming: Read a stream; the control is the same stream without the consumer.
        budget: Seconds of wall time at most.
        limit: Memory in bytes that each arm may use.
        min_leak: Floor in bytes per slice of what is called a leak.
        spec: Further fields of `hfmemdebug.data.spec.DatasetSpec`.

    Raises:
        HfmemdebugError: The dataset or the consumer could not be loaded.
    """
    from hfmemdebug.analysis.verdict import judge
    from hfmemdebug.recording.store import end_run, new_run

    name = os.fspath(dataset) if dataset is not None else str(synthetic_dataset())
    settings = Settings(
        spec=DatasetSpec(dataset=name, config=config, split=split, **spec),
        step=step,
        epochs=epochs,
        iterations=iterations,
        consumer=consumer,
        streaming=streaming,
        budget=budget,
        limit=limit,
        min_leak_per_slice=min_leak,
    )
    run = new_run("diagnose")
    try:
        measured = run_diagnosis(settings, run, lambda arm, event: None)
    finally:
        end_run(run)
    result = judge(measured.recordings)
    return replace(result, interrupted=measured.interrupted)


__all__: Sequence[str] = ("diagnose", "rounds", "run_diagnosis", "synthetic_dataset")
