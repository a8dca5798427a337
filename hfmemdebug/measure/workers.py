"""Which lines make what the child processes of a consumer keep: its workers are started once more and traced.

Those that were measured run already, and nothing could trace them from within; tracing while they are measured
would count what it takes itself. So one more arm runs, which is not judged, with `run --trace`'s tracer inside.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hfmemdebug.analysis.assess import Assessment
from hfmemdebug.errors import HfmemdebugError
from hfmemdebug.leak import Holder, Site, merge_sites
from hfmemdebug.measure.arm_pool import ArmProcess
from hfmemdebug.measure.budget import Budget
from hfmemdebug.measure.session import ArmKind, Listener, Round
from hfmemdebug.measure.settings import Settings
from hfmemdebug.origin.sites import MOST_SITES
from hfmemdebug.origin.trace import read_traces
from hfmemdebug.probes.inside import environment
from hfmemdebug.recording.end import ProcessTrace, Trace
from hfmemdebug.recording.file import Recording, append
from hfmemdebug.workload.slices import SlicePlan

# The tracer begins when a process is some seconds old, and looks four times, each time half as long again after that:
# half a minute, and three times as long where the machine is busy.
LEAST_SECONDS, MOST_SECONDS = 30.0, 90.0
# Workers that do the same are told of within this time of each other.
OTHERS_SECONDS = 2.0
# What the traced arm may keep; at the pace of the measured one it may keep more than there is.
MOST_KEPT = 2 << 30


def trace_workers(
    settings: Settings,
    guilty: Assessment,
    plan: SlicePlan,
    listen: Listener,
    earlier: Sequence[Recording],
    seconds: float,
) -> Recording:
    """Reads the slices once more with the workers traced.

    Args:
        settings: What the user asked for.
        guilty: The arm whose workers leak.
        plan: The slices that it has read.
        listen: Takes every event of the arm.
        earlier: What was measured.
        seconds: Wall time that it may take; of more than `MOST_SECONDS` it makes no use.

    Returns:
        The guilty arm's recording, with the lines and holders in its closing line, where any were found.
    """
    recording = guilty.recording
    rate = sum(counter.trend.rate for counter in guilty.growing)
    epochs = max(1, int(MOST_KEPT / max(rate * plan.count, 1.0)))
    # An iterable's items have the size that they have.
    loaded = recording.header.loaded
    step = None if loaded is not None and loaded.step else plan.step
    name = f"{guilty.name}, traced"
    # When the consumer had a slice, on the clock that the processes share.
    slices: list[float] = []

    def note(arm: ArmProcess, event: dict[str, Any]) -> None:
        if event["event"] == "sample" and event["sample"].kind == "slice":
            slices.append(time.perf_counter())
        listen(arm, event)

    with tempfile.TemporaryDirectory(prefix="hfmemdebug-") as folder:
        pages = Path(folder) / "pages"
        pages.mkdir(mode=0o700)
        first: float | None = None

        def of_workers() -> list[ProcessTrace]:
            process = arm.leader.process
            return [t for t in read_traces(pages, 0.0) if process is None or t.pid != process.pid]

        def told() -> bool:
            nonlocal first
            # Until then what came while the workers began is in it; of what grew at no one pace yet, there is no line.
            if first is None and any(t.from_ > t.began and (t.sites or t.holders) for t in of_workers()):
                first = time.monotonic()
            return first is not None and time.monotonic() - first > OTHERS_SECONDS

        arm = Round(
            replace(settings, epochs=epochs, iterations=plan.count, step=step),
            "diagnose",
            [ArmKind(name, recording.header.arm.mode, True)],
            Path(folder),
            note,
            clock=Budget(min(seconds, MOST_SECONDS), default=None, asked=True),
            earlier=earlier,
            environment=environment(pages, os.environ, trace="children"),
            enough=told,
        )
        note(arm.leader, {"event": "note", "text": "its workers are traced: which line it comes from"})
        try:
            arm.run()
        except HfmemdebugError:
            # The verdict does not need it.
            return recording
        found = per_slice(of_workers(), slices, rate)
    if not found.sites or recording.path is None or recording.end.is_missing:
        return recording
    before = recording.end.trace or Trace()
    end = replace(recording.end, trace=replace(before, sites=found.sites, holders=found.holders))
    append(recording.path, end)
    return replace(recording, end=end)


def per_slice(traces: Sequence[ProcessTrace], slices: Sequence[float], rate: float) -> Trace:
    """Adds up the lines of all workers, and takes the holders of one of them, per slice of the consumer's."""
    sites: list[Site] = []
    holders: list[Holder] = []
    for trace in traces:
        read = sum(trace.from_ <= moment <= trace.to for moment in slices)
        if not read:
            continue
        sites += [site.per(read) for site in trace.sites]
        holders = holders or [
            replace(holder, growth_per_iteration=round(holder.growth_per_iteration / read, 3))
            for holder in trace.holders
        ]
    found = sorted(merge_sites(sites), key=lambda site: -site.bytes_per_iteration)
    return Trace(tuple(site.rounded(rate) for site in found[:MOST_SITES]), tuple(holders))
