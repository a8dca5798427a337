"""A run under a memory limit in one line."""

from __future__ import annotations

import signal as signals
from typing import Any

from hfmemdebug.supervise.limits.fit import Trial
from hfmemdebug.units import format_bytes, format_seconds


def limit_line(limit: dict[str, Any]) -> str:
    """The closing line: mechanism, peak, file pages among it, OOM kills, throttling, how it ended.

    Args:
        limit: The ``limit`` of the result document.
    """
    parts = [_peak(limit), *_pressure(limit), _end(limit)]
    if limit.get("left_running"):
        count = limit["left_running"]
        parts.append(f"{count} process{'es' if count > 1 else ''} that it had left running ended with it")
    what = "limit" if limit["is_limit"] else "watched for"
    return f"{what} {format_bytes(limit['bytes'])} ({limit['how']}): {', '.join(parts)}"


def _peak(limit: dict[str, Any]) -> str:
    peak = limit.get("peak_bytes")
    if peak is None:
        return "peak not known"
    text = f"peak {format_bytes(peak)}"
    file = limit.get("file_bytes_at_peak")
    if file is not None:
        return f"{text} ({format_bytes(file)} of it file pages)"
    return text if limit["is_limit"] else f"{text} that cannot be taken back (file pages not counted)"


def _pressure(limit: dict[str, Any]) -> list[str]:
    parts = []
    kills = limit.get("oom_kills")
    if kills is not None:
        parts.append(f"{kills or 'no'} OOM kill{'s' if kills > 1 else ''}")
    if limit.get("limit_hits"):
        parts.append(f"at the limit {limit['limit_hits']:,} times")
    throttled = limit.get("throttled")
    if throttled is not None:
        parts.append(f"throttled {throttled:,} times" if throttled else "never throttled")
    if (limit.get("stalled_seconds") or 0) >= 0.005:
        parts.append(f"waited {format_seconds(limit['stalled_seconds'])} for memory")
    return parts


def _end(limit: dict[str, Any]) -> str:
    after = f"after {format_seconds(limit.get('seconds'))}"
    if limit.get("killed_by") == "kernel":
        return f"killed by the kernel's OOM killer {after}"
    if limit.get("killed_by") == "watchdog":
        return f"killed by the watchdog {after}"
    if limit.get("killed_by") == "deadline":
        return f"killed {after}, since its time was up"
    if limit.get("signal"):
        return f"ended by {signal_name(limit['signal'])} {after}"
    return f"ended with exit status {limit['exit_status']} {after}"


def signal_name(number: int) -> str:
    """``SIGTERM`` for 15; ``signal 40`` where there is no name."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def limit_words(limit: int | None) -> str:
    """``limit 236 MB``, or ``no limit``."""
    return "no limit" if limit is None else f"limit {format_bytes(limit)}"


def trial_line(trial: Trial) -> str:
    """One run of `fit`, as it is reported while others follow."""
    return f"{limit_words(trial.bytes)}: {trial.outcome} after {format_seconds(trial.seconds)}"
