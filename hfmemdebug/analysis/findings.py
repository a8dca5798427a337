"""Owners of growth as findings: the leaks of an arm, and what grew without being one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hfmemdebug.analysis.assess import Assessment
from hfmemdebug.analysis.counters import EXACT, NOTEWORTHY, PAGE, THINGS, CounterTrend
from hfmemdebug.analysis.series import Epochs
from hfmemdebug.analysis.summaries import what_settling_gave_back
from hfmemdebug.analysis.trend import rate_of_rising_lows
from hfmemdebug.recording.end import Trace
from hfmemdebug.recording.file import Recording
from hfmemdebug.result import Finding
from hfmemdebug.units import format_bytes, format_count

# ... but not the exact counters' growth against the control, which is the user's code alone (cache_bounded_by_data).
NOTEWORTHY_OF_CODE = 256 * 1024
# RSS grows by up to 1.7 times what is in use (size classes), and Arrow's mimalloc may take twice of it.
WASTE = 2.0

HOW_IT_FILLED = "first touch of preallocated memory, as of an array; bounded by its size"


def benign(
    cause: str, growth: float, detail: str, arm: str, *, reclaimable: bool | None, shape: str = "plateau"
) -> Finding:
    """A finding of growth that is no leak.

    Args:
        cause: One of the contract's.
        growth: Bytes.
        detail: What it is, for people.
        arm: The arm that showed it.
        reclaimable: Whether it can be taken back; None where that is not known.
        shape: How it grew.
    """
    return Finding(cause, "benign", round(growth), 0.0, None, shape, reclaimable, detail, arm)


def leak_findings(assessment: Assessment) -> tuple[Finding, ...]:
    """Returns what leaks in an arm, the largest first."""
    growing = {counter.name: counter for counter in assessment.growing}
    python, malloc = growing.get("python"), growing.get("malloc")
    exact = [growing[name] for name in EXACT if name in growing]
    if exact and "other" in growing and growing["other"].trend.rate <= _waste(assessment, exact):
        del growing["other"]
    findings: list[Finding] = []
    if python is not None and malloc is not None:
        # Objects of more than 512 bytes come from malloc, and so do the buffers of lists and dicts: where
        # objects pile up, what malloc holds with them is theirs.
        del growing["malloc"]
        findings.append(_in_bytes(assessment, python, malloc))
    elif python is not None:
        findings.append(_in_bytes(assessment, python, *_tables_of(assessment)))
    elif malloc is not None and _is_pythons(assessment, malloc):
        del growing["malloc"]
        findings.append(replace(_in_bytes(assessment, malloc), cause="python-objects"))
    growing.pop("python", None)
    if "children" in growing:
        # Each that stays brings its memory along.
        growing.pop("children_anon", None)
    if "shmem" in growing:
        # The same blocks, as the process has them mapped and as the file system counts them.
        growing.pop("dev_shm", None)
    for name, counter in growing.items():
        if name in THINGS:
            findings.append(_of_things(assessment, counter))
        else:
            findings.append(_in_bytes(assessment, counter))
    return tuple(sorted(findings, key=lambda f: -(f.rate_bytes_per_iteration or 0.0)))


def _waste(assessment: Assessment, exact: Sequence[CounterTrend]) -> float:
    """Pages per slice beyond what exact counters have in use that go with their growth: size classes and holes.

    A small object may stand for large memory that no counter knows, as a mapping's does: that is more than waste.
    """
    settled = [v for v in assessment.epochs.series("malloc_free").settled[1:] if v is not None]
    slices = max(len(settled) - 1, 1) * max((len(epoch) for epoch in assessment.epochs.slices), default=1)
    holes = (settled[-1] - settled[0]) / slices if settled else 0.0
    return WASTE * (sum(counter.trend.rate for counter in exact) + max(holes, 0.0))


def _tables_of(assessment: Assessment) -> tuple[CounterTrend, ...]:
    """malloc, where it rises beside objects that pile up, and too unevenly to be judged alone.

    A dictionary that gains a key at each slice moves to a table of twice the size now and then.
    """
    malloc = assessment.counters.get("malloc")
    if malloc is None or malloc.trend.shape != "inconclusive":
        return ()
    rate = rate_of_rising_lows(malloc.series)
    return () if rate is None else (replace(malloc, trend=replace(malloc.trend, rate=rate)),)


def _is_pythons(assessment: Assessment, malloc: CounterTrend) -> bool:
    """True where what malloc keeps is Python objects' (large ones, arrays), as the tracing pass saw it."""
    trace = assessment.recording.end.trace or Trace()
    # A text or a buffer that grows in place is one block, as old as the program: no line has made it lately.
    grown = sum(holder.growth_per_iteration for holder in trace.holders if holder.unit == "byte")
    return 2 * max(trace.traced_bytes_per_iteration, grown) >= malloc.trend.rate


def _in_bytes(assessment: Assessment, *counters: CounterTrend) -> Finding:
    rate = sum(c.trend.rate for c in counters)
    return Finding(
        cause=counters[0].kind.cause,
        role="leak",
        growth_bytes=round(sum(c.trend.growth for c in counters)),
        rate_bytes_per_iteration=round(rate, 1),
        interval=(round(sum(c.trend.low for c in counters), 1), round(sum(c.trend.high for c in counters), 1)),
        shape="growing",
        reclaimable=False,
        detail=_where(assessment, counters[0].name),
        arm=assessment.name,
    )  # fmt: skip


def _where(assessment: Assessment, name: str) -> str | None:
    """Where leaked bytes are, of owners of which that is not plain."""
    if name == "copied":
        return f"copies of pages that were written to {copied_files(assessment.recording)}"
    return "in the child processes, not in this one" if name == "children_anon" else None


def _of_things(assessment: Assessment, counter: CounterTrend) -> Finding:
    kind = counter.kind
    trend = counter.trend
    # What such things hold, where that is counted too.
    holds = {"file_maps": "file", "children": "children_anon"}.get(counter.name)
    known = [v for v in assessment.epochs.series(holds).settled if v is not None] if holds else []
    grown = max(known[-1] - known[1], 0.0) if len(known) > 2 else 0.0
    growth = max(grown, PAGE * trend.growth)
    judged = max(len(assessment.recording.slices) - len(assessment.epochs.slices[0]), 1)
    count = trend.rate * judged
    return Finding(
        cause=kind.cause,
        role="leak",
        growth_bytes=round(growth),
        rate_bytes_per_iteration=round(max(growth / judged, PAGE * trend.rate), 1),
        interval=None,
        shape="growing",
        reclaimable=False,
        detail=f"{format_count(count)} more {kind.things} over {judged} slices",
        arm=assessment.name,
    )


def benign_findings(assessments: Sequence[Assessment]) -> tuple[Finding, ...]:
    """Returns what grew and is no leak, the largest first. The arms' own leaks are not among it."""
    findings: list[Finding] = []
    for assessment in assessments:
        findings.extend(_mapped_pages(assessment))
        findings.extend(_copies(assessment))
        findings.extend(_retention(assessment))
        findings.extend(_bounded(assessment))
    return tuple(sorted(findings, key=lambda f: -f.growth_bytes))


def cause_of(benign: Sequence[Finding], arm: str) -> str | None:
    """Returns what explains the growth of an arm without a leak: its largest part."""
    causes = [finding.cause for finding in benign if finding.arm == arm]
    if not causes:
        # Of the user's code alone: what it copied is worth the name wherever it was seen.
        causes = [finding.cause for finding in benign if finding.cause == "copy-on-write"]
    return next(iter(causes), None)


def _mapped_pages(assessment: Assessment) -> list[Finding]:
    """Pages of mapped files: the largest growth within an epoch, since settling drops them at its end.

    Pages of a file that is in memory itself (tmpfs) are counted as shared memory, and stay.
    """
    header, end = assessment.recording.header, assessment.recording.end
    files = (header.loaded.files if header.loaded else ()) or end.mapped_files
    in_memory = any(file.memory_backed for file in files)
    grown = _growth_within(assessment.recording, "shmem" if in_memory else "file")
    if grown is None or grown < NOTEWORTHY:
        return []
    reclaim = end.reclaim
    size = sum(file.size_bytes for file in files)
    bounded = f"; bounded by the files' {format_bytes(size)}" if size else ""
    whose = "mapped files" if header.subject == "loop" else "the dataset's mapped files"
    proved = reclaim is not None and reclaim.freed_bytes is not None and reclaim.why_not is None
    return [
        benign(
            "mmap-file-pages",
            grown,
            f"pages of {whose} that were read{bounded}",
            assessment.name,
            reclaimable=False if in_memory else True if proved else None,
        )
    ]


def _copies(assessment: Assessment) -> list[Finding]:
    """Private copies of the pages of mapped files, from the start on: most are made in the first epoch."""
    counter = assessment.counters.get("copied")
    settled = [v for v in assessment.epochs.series("copied").settled if v is not None]
    if counter is None or len(settled) < 2 or counter.trend.grows:
        return []
    grown = settled[-1] - settled[0]
    if grown < NOTEWORTHY:
        return []
    return [
        benign(
            "copy-on-write",
            grown,
            f"private copies of pages that were written to {copied_files(assessment.recording)}",
            assessment.name,
            shape=counter.trend.shape,
            reclaimable=False,
        )
    ]


def copied_files(recording: Recording) -> str:
    """The files whose pages were copied, with the most that there can be of each."""
    named = [f"{file.path} (at most {format_bytes(file.size_bytes)})" for file in recording.end.copies]
    return ", ".join(named) or "files that are mapped privately"


def _retention(assessment: Assessment) -> list[Finding]:
    """Returns what the allocators held free: the part of anonymous growth that settling gave back."""
    grown = _growth_within(assessment.recording, "anon")
    gave = what_settling_gave_back(assessment.recording)
    returned = min((gave.get("release_pools") or 0) + (gave.get("trim") or 0), grown or 0.0)
    other = assessment.counters.get("other")
    if returned < NOTEWORTHY or assessment.growing:
        return []
    return [
        benign(
            "allocator-retention",
            returned,
            "memory that was free and that Arrow's pools and malloc kept; they gave it back when asked",
            assessment.name,
            shape="plateau" if other is None else other.trend.shape,
            reclaimable=True,
        )
    ]


def _bounded(assessment: Assessment) -> list[Finding]:
    findings = []
    for counter in assessment.counters.values():
        trend = counter.trend
        settled = [v for v in counter.series.settled if v is not None]
        exact = assessment.control is not None and counter.name in EXACT
        growth, shape = trend.growth, trend.shape
        if len(settled) > 2 and (exact or shape == "stable"):
            # Most of it, or all, may have come before the first epoch was over.
            growth = settled[-1] - settled[0]
            shape = "plateau" if shape == "stable" else shape
        if (
            counter.name in (*THINGS, "copied", "dev_shm")
            or shape not in ("step", "plateau")
            or growth < (NOTEWORTHY_OF_CODE if exact else NOTEWORTHY)
        ):
            continue
        findings.append(
            benign(
                "step" if shape == "step" else "bounded-cache",
                growth,
                HOW_IT_FILLED
                if counter.filled
                else "it grew once and stopped"
                if shape == "step"
                else "it grew ever less and stopped"
                if trend.shape == "plateau"
                else "it grew in the first epoch and stopped",
                assessment.name,
                shape=shape,
                reclaimable=None,
            )
        )
    return findings


def _growth_within(recording: Recording, name: str) -> float | None:
    """The largest growth of a field from the beginning of an epoch to any slice of it."""
    epochs = Epochs.of(recording)
    best: float | None = None
    for number, slices in enumerate(epochs.slices):
        values = [v for s in slices if (v := getattr(s, name)) is not None]
        start = _start_of(recording, number, name)
        if values and start is not None:
            best = max(best or 0.0, max(values) - start)
    return best


def _start_of(recording: Recording, epoch: int, name: str) -> float | None:
    """The last reading before an epoch's first slice."""
    before = [s for s in recording.samples if s.kind == "settle" and s.epoch == epoch]
    return getattr(before[-1], name) if before else None
