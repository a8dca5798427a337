"""What a run under a memory limit has shown, in a sentence of the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hfmemdebug.recording.file import Recording
from hfmemdebug.result import ArmSummary
from hfmemdebug.units import format_bytes

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
