"""Builds the sentences of a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hfmemdebug.analysis.assess import Assessment
from hfmemdebug.recording.file import Recording
from hfmemdebug.result import ArmSummary, Finding
from hfmemdebug.units import format_bytes

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


def summary(
    verdict: str,
    cause: str | None,
    origin: str | None,
    rate: float,
    guilty: Assessment | None,
    assessments: Sequence[Assessment],
    benign: Sequence[Finding],
    *,
    open_question: str | None,
) -> str:
    """One sentence, two at most."""
    if guilty is not None:
        only_children = {c.name for c in guilty.growing} == {"children_anon"}
        what = "memory in its child processes" if only_children else LEAKED.get(cause or "", "memory")
        slices = len(guilty.recording.slices)
        iterable = is_iterable(guilty.recording)
        step = guilty.recording.header.workload.step or 1
        unit = "item" if iterable else guilty.recording.header.iteration
        per = f"slice of {step:,} rows" if unit == "slice" else unit
        rate_text = f"{format_bytes(rate)} of {what} per {per}, in every epoch ({slices} {unit}s)"
        both = len({a.control is None for a in assessments if a.growing}) > 1
        if origin == "user-code":
            alone = "something stays too, which is reported below" if both else "the same rows keep nothing"
            return f"Leak in your code: it keeps {rate_text}; without it, {alone}."
        if origin is None:
            return f"Leak, in your code or in what it calls: {rate_text} stay behind."
        besides = " Your consumer keeps something besides, which is reported below." if both else ""
        if iterable:
            return (
                f"Leak in your iterable or in what it calls, without any consumer: {rate_text} stay behind."
                f"{besides}"
            )
        return f"Leak in a library, without any code of yours: {rate_text} stay behind.{besides}"
    if verdict == "inconclusive":
        return f"Inconclusive: {open_question}."
    copies = [f for f in benign if f.cause == "copy-on-write"]
    if cause == "copy-on-write":
        return f"No leak: {_copied(copies)}"
    more = f" Besides, {_copied(copies)}" if copies else ""
    return f"No leak: {_no_leak(cause, benign, assessments)}{more}"


def is_iterable(recording: Recording) -> bool:
    """Whether the rows came from an iterable of the user's own."""
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
    return f"{format_bytes(largest.growth_bytes)} came once and did not go on growing."


_WATCHED = "It ran to the end with a watchdog set to {}, which proves less than a limit."


def limit_of_run(recordings: Sequence[Recording], arms: Sequence[ArmSummary]) -> dict[str, Any] | None:
    """The ``limit`` of the result document: that of the arm that proves most, or None without `--limit`.

    Args:
        recordings: The arms' recordings.
        arms: What is said of each, in the same order.
    """
    for recording, arm in sorted(zip(recordings, arms, strict=True), key=lambda pair: pair[1].mode != "mmap"):
        if recording.limit is not None:
            return {**asdict(recording.limit), "arm": arm.name, "outcome": arm.outcome}
    return None


def limit_sentence(limit: dict[str, Any] | None, arms: Sequence[ArmSummary]) -> str | None:
    """What the arm under the limit proves: pages that count as RSS gave way, or the limit was not reached.

    Args:
        limit: From `limit_of_run`.
        arms: The arms of the run.
    """
    arm = next((arm for arm in arms if limit is not None and arm.name == limit["arm"]), None)
    if limit is None or arm is None or arm.outcome != "completed":
        return None
    most = limit["bytes"]
    under = _under(limit)
    if not limit["is_limit"]:
        return _WATCHED.format(format_bytes(most))
    held = arm.peak_unreclaimable_bytes or 0
    rss = arm.peak_rss_bytes or 0
    read = _bytes_read(arm)
    if arm.mode == "mmap" and read + held > most:
        return (
            f"It read {format_bytes(read)} of mapped files to the end {under}: the kernel took pages back "
            "instead of killing it."
        )
    if rss > most:
        return (
            f"It ran to the end with RSS reported at {format_bytes(rss)} {under}: "
            f"{format_bytes(rss - held)} of it were pages of files, charged to whoever reads them first."
        )
    return f"It ran to the end {under} and held at most {format_bytes(held)} that cannot be taken back."


def program_limit_sentence(limit: dict[str, Any] | None, arm: ArmSummary) -> str | None:
    """The same of a watched program, of which it is not known what it reads.

    Args:
        limit: What the limit came to, from the recording's closing line.
        arm: The program.
    """
    if limit is None or arm.outcome != "completed":
        return None
    if not limit["is_limit"]:
        return _WATCHED.format(format_bytes(limit["bytes"]))
    kills = limit.get("oom_kills")
    if kills:
        return f"It ran to the end {_under(limit)}, although the OOM killer killed {kills} of its processes."
    shown, held = arm.peak_rss_bytes or 0, arm.peak_unreclaimable_bytes or 0
    if shown > limit["bytes"]:
        return (
            f"It ran to the end with {format_bytes(shown)} mapped (PSS) {_under(limit)}: "
            f"{format_bytes(shown - held)} of it were pages of files, charged to whoever reads them first."
        )
    if limit.get("limit_hits"):
        return (
            f"It ran to the end {_under(limit)}, at which it was {limit['limit_hits']:,} times: the kernel took "
            "file pages back instead of killing it."
        )
    return (
        f"It ran to the end {_under(limit)} and held at most {format_bytes(held)} that cannot be taken back."
    )


def _under(limit: dict[str, Any]) -> str:
    return f"under a limit of {format_bytes(limit['bytes'])} ({limit['how']})"


def _bytes_read(arm: ArmSummary) -> int:
    """Bytes of the dataset's files that one epoch reads."""
    data, rows = (arm.loaded or {}).get("data_bytes") or 0, arm.rows_total or 0
    return int(data * min(1.0, arm.rows / max(arm.epochs, 1) / rows)) if rows else 0
