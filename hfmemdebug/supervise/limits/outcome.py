"""A run under a limit as the result document."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from hfmemdebug.result import ArmSummary, Result, without_verdict
from hfmemdebug.supervise.limits.command import Ended
from hfmemdebug.supervise.limits.fit import Fit, Trial, describe
from hfmemdebug.supervise.limits.words import limit_line
from hfmemdebug.units import format_bytes


def limit_result(ended: Ended, command: Sequence[str], *, command_line: str | None = None) -> Result:
    """The result of `limit`: it has no verdict, and the command is its only arm.

    Args:
        ended: How the run ended.
        command: What was run.
        command_line: How hfmemdebug was called.
    """
    fields = limit_fields(ended)
    arm = ArmSummary(
        name="limited",
        mode="program",
        consumer=False,
        iterations=0,
        rows=0,
        outcome=ended.outcome,
        peak_unreclaimable_bytes=ended.usage.unreclaimable_peak,
        seconds=round(ended.seconds, 3),
    )
    return without_verdict(
        "limit",
        limit_line(fields),
        arms=(arm,),
        warnings=tuple(f"{name} does not work here: {why}" for name, why in ended.passed_over.items()),
        command_line=command_line,
        reproduce=shlex.join(command),
        limit=fields,
    )


def limit_fields(ended: Ended) -> dict[str, Any]:
    """The ``limit`` of the result document."""
    usage = ended.usage
    return {
        "bytes": ended.bytes,
        "swap_bytes": ended.swap,
        "backend": ended.backend,
        "how": ended.how,
        "is_limit": ended.is_limit,
        "peak_bytes": usage.peak,
        "file_bytes_at_peak": usage.file_at_peak,
        "peak_unreclaimable_bytes": usage.unreclaimable_peak,
        "oom_kills": usage.oom_kills,
        "limit_hits": usage.limit_hits,
        "throttled": usage.throttled,
        "stalled_seconds": usage.stalled_seconds,
        "major_faults": usage.major_faults,
        "outcome": ended.outcome,
        "exit_status": ended.status,
        "signal": ended.signal,
        "killed_by": ended.killed_by,
        "left_running": ended.left_running,
        "seconds": round(ended.seconds, 3),
    }


def fit_result(
    fit: Fit,
    last: Ended,
    command: Sequence[str],
    *,
    command_line: str | None = None,
    interrupted: bool = False,
) -> Result:
    """The result of `fit`.

    Args:
        fit: What was found.
        last: The last run, for the mechanism.
        command: What was run.
        command_line: How hfmemdebug was called.
        interrupted: Whether the search was ended by somebody.
    """
    warnings = [f"{name} does not work here: {why}" for name, why in last.passed_over.items()]
    if last.is_limit:
        summary = describe(fit, format_bytes)
    else:
        held = format_bytes(fit.free.unreclaimable_peak)
        summary = f"held up to {held} that cannot be taken back; what limit it needs was not found out"
        warnings.append(
            "only a watchdog works here, under which the kernel takes nothing back: its figure is no limit"
        )
    return without_verdict(
        "fit",
        f"{summary[0].upper()}{summary[1:]}.",
        warnings=tuple(warnings),
        command_line=command_line,
        reproduce=shlex.join(command),
        interrupted=interrupted,
        fit={
            "smallest_bytes": fit.smallest,
            "knee_bytes": fit.knee,
            "slowdown": round(fit.slowdown, 2) if fit.slowdown is not None else None,
            "backend": last.backend,
            "is_limit": last.is_limit,
            "free": _trial_fields(fit.free),
            "tried": [_trial_fields(trial) for trial in fit.tried],
        },
    )


def _trial_fields(trial: Trial) -> dict[str, Any]:
    return {
        "bytes": trial.bytes,
        "outcome": trial.outcome,
        "seconds": trial.seconds,
        "major_faults": trial.major_faults,
        "stalled_seconds": trial.stalled_seconds,
        "peak_bytes": trial.peak,
        "peak_unreclaimable_bytes": trial.unreclaimable_peak,
    }
