"""Builds the sentences of a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hfmemdebug.analysis.assess import Assessment
from hfmemdebug.analysis.judgement import Judgement
from hfmemdebug.analysis.program import Program
from hfmemdebug.recording.file import Recording
from hfmemdebug.result import ArmSummary, Finding
from hfmemdebug.units import format_bytes, format_seconds

MORE_EPOCHS = "more epochs over the same rows would tell"
LEAKED = {
    "python-objects": "Python objects",
    "native-heap": "memory from malloc",
    "arrow-pool": "Arrow buffers",
    "shared-memory": "shared memory",
    "file-mapping": "file mappings or descriptors that pile up",
    "anonymous-other": "anonymous memory",
    "copy-on-write": "private copies of pages",
}


def summary(judgement: Judgement, guilty: Assessment | None, assessments: Sequence[Assessment]) -> str:
    """Says the verdict about arms in one sentence, two at most.

    Args:
        judgement: What was decided.
        guilty: The arm whose rate is told; None where nothing leaks.
        assessments: All arms.
    """
    if guilty is not None:
        return _leak(judgement, guilty, assessments)
    if judgement.verdict == "inconclusive":
        return f"Inconclusive: {judgement.question}."
    copies = [f for f in judgement.benign if f.cause == "copy-on-write"]
    if judgement.cause == "copy-on-write":
        return f"No leak: {_copied(copies)}"
    more = f" Besides, {_copied(copies)}" if copies else ""
    return f"No leak: {_no_leak(judgement.cause, judgement.benign, assessments)}{more}"


def _leak(judgement: Judgement, guilty: Assessment, assessments: Sequence[Assessment]) -> str:
    what = (
        "memory in its child processes"
        if guilty.leaks_in_children_alone
        else LEAKED.get(judgement.main_cause or "", "memory")
    )
    slices = len(guilty.recording.slices)
    iterable = is_iterable(guilty.recording)
    step = guilty.recording.header.workload.step or 1
    unit = "item" if iterable else guilty.recording.header.iteration
    per = f"slice of {step:,} rows" if unit == "slice" else unit
    rate = f"{format_bytes(judgement.rate)} of {what} per {per}, in every epoch ({slices} {unit}s)"
    both = len({a.control is None for a in assessments if a.growing}) > 1
    if judgement.origin == "user-code":
        alone = (
            "some memory is never freed either, as reported below" if both else "the same rows keep nothing"
        )
        return f"Leak in your code: it keeps {rate}; without it, {alone}."
    if judgement.origin is None:
        return f"Leak, in your code or in what it calls: {rate} are never freed."
    besides = " Your consumer keeps something besides, which is reported below." if both else ""
    if iterable:
        return f"Leak in your iterable or in what it calls, without any consumer: {rate} are never freed.{besides}"
    return f"Leak in a library, without any code of yours: {rate} are never freed.{besides}"


def program_summary(judgement: Judgement, program: Program) -> str:
    """Says the verdict about a watched program in one sentence, two at most."""
    watched = f"{format_seconds(program.seconds)}" + (f" and {program.rows:,} rows" if program.rows else "")
    if judgement.leaks:
        detail = judgement.leaks[0].detail
        rate = f"{format_bytes(judgement.rate)} per {judgement.iteration}"
        where = f" ({detail})" if detail else ""
        if program.attached:
            return (
                f"Sustained growth: {rate}{where} over {watched}, which nothing can take back. Whether it is a leak, "
                "`hfmemdebug run` tells from a program's start."
            )
        ending = f" The program failed: {judgement.died}." if judgement.died else ""
        return f"Leak: {rate} are never freed{where}, all through {watched}.{ending}"
    if judgement.verdict == "inconclusive":
        died = judgement.died
        return (
            f"Inconclusive: {died}, and nothing was decided until then."
            if died
            else f"Inconclusive: {judgement.question}."
        )
    rest = f"did not go on growing over {watched}"
    pages = next((f for f in judgement.benign if f.cause == "mmap-file-pages"), None)
    if pages is not None and pages.growth_bytes == max(f.growth_bytes for f in judgement.benign):
        return (
            f"No leak: {format_bytes(pages.growth_bytes)} are pages of mapped files, which the kernel takes back when "
            f"memory is short; what it cannot take back {rest}."
        )
    copies = next((f for f in judgement.benign if f.cause == "copy-on-write"), None)
    if copies is not None:
        return f"No leak: {copies.detail}. What else cannot be taken back {rest}."
    return f"No leak: what cannot be taken back {rest}."


def is_iterable(recording: Recording) -> bool:
    """True where the rows came from an iterable of the user's own."""
    return recording.header.loaded is not None and recording.header.loaded.step is not None


def _copied(copies: Sequence[Finding]) -> str:
    return (
        f"{format_bytes(copies[0].growth_bytes)} are {copies[0].detail}: bounded by what is mapped, and not to "
        "be taken back."
    )


def _no_leak(cause: str | None, benign: Sequence[Finding], assessments: Sequence[Assessment]) -> str:
    if cause == "mmap-file-pages":
        mapped = [f for f in benign if f.cause == cause]
        # The same files are mapped in every arm, and one arm takes their pages back for all.
        pages = next((f for f in mapped if f.reclaimable), mapped[0])
        in_memory = next((a for a in assessments if a.recording.header.arm.mode == "in-memory"), None)
        proved = {
            True: "the kernel took them back when asked",
            None: "the kernel takes them back when memory is short",
            False: "they are memory themselves (tmpfs): bounded by the files, but not to be taken back",
        }[pages.reclaimable]
        contrast = " Of the same rows in memory, nothing grows." if in_memory is not None else ""
        # Of a program's own loop nobody knows which files those are: libraries' code is among them.
        own_loop = assessments[0].recording.header.subject == "loop"
        whose = "mapped files" if own_loop else "the dataset's mapped files"
        return f"up to {format_bytes(pages.growth_bytes)} of RSS are pages of {whose}; {proved}.{contrast}"
    if cause is None:
        return "nothing grew after the warm-up."
    largest = benign[0]
    if cause == "allocator-retention":
        return (
            f"{format_bytes(largest.growth_bytes)} were free memory that the allocators kept for reuse; what is "
            "in use did not grow."
        )
    return f"{format_bytes(largest.growth_bytes)} were a one-time allocation."


def limit_of_run(
    recordings: Sequence[Recording], arms: Sequence[ArmSummary]
) -> tuple[dict[str, Any], ArmSummary] | None:
    """Returns the ``limit`` of the result document and the arm that proves most under it; None without `--limit`.

    Args:
        recordings: The arms' recordings.
        arms: What is said of each, in the same order.
    """
    for recording, arm in sorted(zip(recordings, arms, strict=True), key=lambda pair: pair[1].mode != "mmap"):
        if recording.limit is not None:
            return {**asdict(recording.limit), "arm": arm.name, "outcome": arm.outcome}, arm
    return None


def limit_sentence(limit: dict[str, Any] | None, arm: ArmSummary) -> str:
    """Returns what a run under a limit proves: file pages that count as RSS gave way, or the limit was not reached.

    Args:
        limit: What the limit came to.
        arm: The run.

    Returns:
        A sentence with a space before it; an empty one where nothing is proved.
    """
    if limit is None or arm.outcome != "completed":
        return ""
    most, kills = limit["bytes"], limit.get("oom_kills")
    under = f"under a limit of {format_bytes(most)} ({limit['how']})"
    shown, held, read = arm.peak_rss_bytes or 0, arm.peak_unreclaimable_bytes or 0, _bytes_read(arm)
    if not limit["is_limit"]:
        return (
            f" It ran to the end with a watchdog set to {format_bytes(most)}, which proves less than a limit."
        )
    if kills and arm.mode == "program":
        return f" It ran to the end {under}, although the OOM killer killed {kills} of its processes."
    if arm.mode == "mmap" and read + held > most:
        return (
            f" It read {format_bytes(read)} of mapped files to the end {under}: the kernel took pages back "
            "instead of killing it."
        )
    if shown > most:
        reported = "{} mapped (PSS)" if arm.mode == "program" else "RSS reported at {}"
        return (
            f" It ran to the end with {reported.format(format_bytes(shown))} {under}: "
            f"{format_bytes(shown - held)} of it were pages of files, charged to whoever reads them first."
        )
    if limit.get("limit_hits") and arm.mode == "program":
        return (
            f" It ran to the end {under}, at which it was {limit['limit_hits']:,} times: the kernel took "
            "file pages back instead of killing it."
        )
    return f" It ran to the end {under} and held at most {format_bytes(held)} that cannot be taken back."


def _bytes_read(arm: ArmSummary) -> int:
    """Bytes of the dataset's files that one epoch reads."""
    data, rows = (arm.loaded or {}).get("data_bytes") or 0, arm.rows_total or 0
    return int(data * min(1.0, arm.rows / max(arm.epochs, 1) / rows)) if rows else 0
