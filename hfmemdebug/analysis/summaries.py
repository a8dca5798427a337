"""Summarises what was measured of each run: peaks, growth by counter, processes."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from hfmemdebug.analysis.breakdown import break_down
from hfmemdebug.analysis.counters import EXACT
from hfmemdebug.analysis.program import Program
from hfmemdebug.analysis.series import Epochs
from hfmemdebug.recording.end import ProcessUsage
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.quantities import SHOWN
from hfmemdebug.recording.sample import ArmSample, TreeSample
from hfmemdebug.result import ArmSummary, Result


def shown_growth(recording: Recording) -> dict[str, int | None]:
    """Growth by counter, for people to see.

    Pages are read off the first epoch, from the end of the warm-up to the last slice, as a program that
    reads its data once shows them, before anything was settled. What counters have in use is what has
    stayed at the end of the whole run.
    """
    epochs = Epochs.of(recording)
    first = epochs.slices[0] if epochs.slices else ()
    judged = [s for s in first if not s.warmup]
    warm = [s for s in first if s.warmup]
    starts = [s for s in recording.samples if s.step == "start"]
    growth: dict[str, int | None] = {}
    for name in SHOWN:
        settled = [v for v in epochs.series(name).settled if v is not None] if name in EXACT else []
        if len(settled) > 1:
            growth[name] = round(settled[-1] - settled[0])
            continue
        before = next((v for s in (*reversed(warm), *starts) if (v := getattr(s, name)) is not None), None)
        after = next((v for s in reversed(judged) if (v := getattr(s, name)) is not None), None)
        growth[name] = after - before if before is not None and after is not None else None
    return growth


def what_settling_gave_back(recording: Recording) -> dict[str, int | None]:
    """Bytes of RSS that each step of settling gave back: the most that it did at the end of any epoch."""
    gave: dict[str, int | None] = {}
    previous: ArmSample | None = None
    for sample in recording.samples:
        if sample.kind == "settle" and sample.step not in ("start", "before") and previous is not None:
            step = str(sample.step)
            if sample.rss is not None and previous.rss is not None:
                gave[step] = max(gave.get(step) or 0, previous.rss - sample.rss, 0)
        previous = sample
    return gave


def summarise(recording: Recording) -> ArmSummary:
    """Summarises an arm, or a loop that was recorded from within."""
    arm, end, workload = recording.header.arm, recording.end, recording.header.workload
    slices = recording.slices
    unreclaimable = [s.unreclaimable for s in recording.samples if s.unreclaimable is not None]
    peaks = [s.peak_rss for s in recording.samples if s.peak_rss is not None]
    rss = [s.rss for s in recording.samples if s.rss is not None]
    loaded = recording.header.loaded
    breakdown = break_down(recording)
    return ArmSummary(
        name=arm.name,
        mode=arm.mode,
        consumer=arm.consumer,
        iterations=len(slices),
        rows=sum(s.rows or 0 for s in slices),
        outcome=end.outcome,
        outcome_detail=end.detail,
        peak_rss_bytes=max(peaks or rss, default=None),
        peak_unreclaimable_bytes=max(unreclaimable, default=None),
        recording=str(recording.path) if recording.path is not None else None,
        rows_total=loaded.rows if loaded else None,
        epochs=max((s.epoch for s in slices), default=0),
        slices_per_epoch=workload.count,
        step=workload.step or 0,
        warmup=workload.warmup,
        seconds=recording.samples[-1].seconds if recording.samples else None,
        growth=shown_growth(recording),
        settled=what_settling_gave_back(recording),
        reclaim=asdict(end.reclaim) if end.reclaim else None,
        loaded=asdict(loaded) if loaded else None,
        breakdown=dict(breakdown.owners) if breakdown is not None else {},
        explained_share=breakdown.explained if breakdown is not None else None,
        observer_share=(
            round(end.observer_seconds / end.loop_seconds, 4)
            if end.loop_seconds and isinstance(end.observer_seconds, (int, float))
            else None
        ),
    )


def _unreclaimable(tree: TreeSample) -> int | None:
    anon = tree.pss_anon if tree.pss_anon is not None else tree.anon
    return None if anon is None else anon + (tree.shmem or 0) + (tree.swap or 0)


def summarise_program(program: Program) -> ArmSummary:
    """Summarises a watched program."""
    recording = program.recording
    end = recording.end
    unreclaimable = [v for snapshot in program.snapshots if (v := _unreclaimable(snapshot.tree)) is not None]
    # A sum of RSS would count shared pages in each process.
    pss = [snapshot.tree.pss for snapshot in program.snapshots if snapshot.tree.pss is not None]
    return ArmSummary(
        name="program",
        mode="program",
        consumer=False,
        iterations=round(program.iterations),
        # Of all that was recorded: what the last workers read is known once they are gone.
        rows=max((tree.rows or 0 for tree in recording.trees), default=0),
        outcome=end.outcome,
        outcome_detail=end.detail,
        peak_rss_bytes=max(pss, default=None),
        peak_unreclaimable_bytes=max(unreclaimable, default=None),
        recording=str(recording.path) if recording.path is not None else None,
        seconds=round(program.seconds, 4) if program.snapshots else None,
        growth=_growth_of_tree(program) if program.snapshots else {},
        observer_share=end.observer_share,
        exit_status=end.exit_status,
    )


def _growth_of_tree(program: Program) -> dict[str, int | None]:
    """Growth by counter, from the first sample to the last."""
    # Of what is PSS: what was RSS before would seem to shrink.
    once = [snapshot for snapshot in program.snapshots if all(p.pss is not None for p in snapshot.processes)]
    first, last = (once or program.snapshots)[0].tree, program.snapshots[-1].tree
    fields = {"rss": "pss", "file": "file", "anon": "anon", "shmem": "shmem", "swap": "swap"}
    growth: dict[str, int | None] = {
        shown: None if getattr(last, name) is None else getattr(last, name) - (getattr(first, name) or 0)
        for shown, name in fields.items()
    }
    return {**growth, **{name: _change(program, name) for name in EXACT}}


def _change(program: Program, name: str) -> int | None:
    """How much all processes together have gained of a counter."""
    known = [v for v in program.judged.deltas(name).total() if v is not None]
    return round(known[-1] - known[0]) if known else None


def with_processes(result: Result, program: Program) -> Result:
    """Adds the processes with what each had, and sums over the tree: both of the peak, where that was read."""
    end = program.recording.end
    if not program.snapshots:
        return replace(result, processes=(), shared_memory=())
    tree = program.snapshots[-1].tree
    sums = (tree.pss, tree.file, _unreclaimable(tree))
    if end.processes:
        sums = (end.total_pss_bytes, end.total_reclaimable_bytes, end.total_unreclaimable_bytes)
    return replace(
        result,
        processes=_processes(program),
        shared_memory=tuple(asdict(item) for item in end.shared_memory),
        total_pss_bytes=sums[0],
        total_reclaimable_bytes=sums[1],
        total_unreclaimable_bytes=sums[2],
    )


def _processes(program: Program) -> tuple[dict[str, Any], ...]:
    """The processes with what each had at the peak, by the roles that they came to have."""
    roles = {p.pid: p.role for snapshot in program.snapshots for p in snapshot.processes if p.role}
    found = program.recording.end.processes or _last_processes(program)
    return tuple({**asdict(process), "role": roles.get(process.pid, process.role)} for process in found)


def _last_processes(program: Program) -> tuple[ProcessUsage, ...]:
    """The processes as they were last seen, where they could not be read at the end."""
    return tuple(
        ProcessUsage(
            pid=p.pid,
            ppid=p.ppid,
            role=p.role,
            rss_bytes=p.rss,
            pss_bytes=p.pss,
            anonymous_bytes=p.anon,
            file_bytes=p.file,
            shmem_bytes=p.shmem,
            swap_bytes=p.swap,
            private_dirty_bytes=p.private_dirty,
            reclaimable_bytes=p.file,
            files=(),
        )
        for p in max(program.snapshots, key=lambda snapshot: len(snapshot.processes)).processes
    )
