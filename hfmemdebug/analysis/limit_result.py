"""Makes the results and the lines of `limit` and `fit`, which have no verdict."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hfmemdebug.result import ArmSummary, Result, without_verdict
from hfmemdebug.supervise.limits.command import LimitedRun
from hfmemdebug.supervise.limits.fit import Fit, Trial
from hfmemdebug.units import format_bytes, format_seconds


def limit_result(run: LimitedRun, command: Sequence[str], *, command_line: str | None = None) -> Result:
    """Makes the result of `limit`, of which the command is the only arm.

    Args:
        run: The run.
        command: What was run.
        command_line: How hfmemdebug was called.
    """
    arm = ArmSummary(
        name="limited",
        mode="program",
        consumer=False,
        iterations=0,
        rows=0,
        outcome=run.exit.outcome,
        peak_unreclaimable_bytes=run.used.peak_unreclaimable_bytes,
        seconds=round(run.seconds, 3),
    )
    return without_verdict(
        "limit",
        limit_line(run),
        arms=(arm,),
        warnings=_passed_over(run),
        command_line=command_line,
        reproduce=shlex.join(command),
        limit=asdict(run.outcome()),
    )


def fit_result(
    fit: Fit,
    last: LimitedRun,
    command: Sequence[str],
    *,
    command_line: str | None = None,
    interrupted: bool = False,
) -> Result:
    """Makes the result of `fit`.

    Args:
        fit: The answer of the search.
        last: The last run, for the mechanism.
        command: What was run.
        command_line: How hfmemdebug was called.
        interrupted: The search was ended before it was done.
    """
    warnings = _passed_over(last)
    if last.used.is_limit:
        summary = fit_sentence(fit)
    else:
        held = format_bytes(fit.free.unreclaimable_peak)
        summary = f"held up to {held} that cannot be taken back; what limit it needs was not found out"
        warnings += (
            "only a watchdog works here, under which the kernel takes nothing back: its figure is no limit",
        )
    return without_verdict(
        "fit",
        f"{summary[0].upper()}{summary[1:]}.",
        warnings=warnings,
        command_line=command_line,
        reproduce=shlex.join(command),
        interrupted=interrupted,
        fit={
            "smallest_bytes": fit.smallest,
            "knee_bytes": fit.knee,
            "slowdown": round(fit.slowdown, 2) if fit.slowdown is not None else None,
            "backend": last.used.backend,
            "is_limit": last.used.is_limit,
            "free": _trial_fields(fit.free),
            "tried": [_trial_fields(trial) for trial in fit.tried],
        },
    )


def _passed_over(run: LimitedRun) -> tuple[str, ...]:
    return tuple(f"{name} does not work here: {why}" for name, why in run.passed_over.items())


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


def limit_line(run: LimitedRun) -> str:
    """Says in one line: mechanism, peak, file pages among it, OOM kills, throttling, how the command ended."""
    limit = run.used
    parts = [_peak(run), *_pressure(run), run.exit.describe(f"after {format_seconds(run.seconds)}")]
    if count := run.left_running:
        parts.append(f"{count} process{'es' if count > 1 else ''} that it had left running ended with it")
    verb = "limit" if limit.is_limit else "watched for"
    return f"{verb} {format_bytes(limit.bytes)} ({limit.how}): {', '.join(parts)}"


def _peak(run: LimitedRun) -> str:
    usage = run.used
    if usage.peak_bytes is None:
        return "peak not known"
    text = f"peak {format_bytes(usage.peak_bytes)}"
    if usage.file_bytes_at_peak is not None:
        return f"{text} ({format_bytes(usage.file_bytes_at_peak)} of it file pages)"
    return text if run.used.is_limit else f"{text} that cannot be taken back (file pages not counted)"


def _pressure(run: LimitedRun) -> list[str]:
    usage = run.used
    parts = []
    if (kills := usage.oom_kills) is not None:
        parts.append(f"{kills or 'no'} OOM kill{'s' if kills > 1 else ''}")
    if usage.limit_hits:
        parts.append(f"at the limit {usage.limit_hits:,} times")
    if usage.throttled is not None:
        parts.append(f"throttled {usage.throttled:,} times" if usage.throttled else "never throttled")
    if (usage.stalled_seconds or 0) >= 0.005:
        parts.append(f"waited {format_seconds(usage.stalled_seconds)} for memory")
    return parts


def fit_sentence(fit: Fit) -> str:
    """Says what the command needs, and below which limit it pays in time."""
    if fit.smallest is None:
        passed = min((t.bytes for t in fit.tried if t.passed and t.bytes), default=None)
        if passed is not None:
            return f"finished under {format_bytes(passed)}; whether it needs as much was not found out"
        if not fit.tried:
            return "what limit it needs was not found out"
        return "no limit was found under which the command finishes"
    need = f"needs {format_bytes(fit.smallest)}"
    if fit.knee is None or fit.slowdown is None:
        return f"{need}, and is not slower there than without a limit"
    why = ", re-reading pages" if _rereads(fit) else ""
    return f"{need}; below {format_bytes(fit.knee)} it runs up to {fit.slowdown:.1f} times slower{why}"


def _rereads(fit: Fit) -> bool:
    faults = [t.major_faults or 0 for t in fit.tried if t.bytes == fit.smallest and t.passed]
    return bool(faults) and max(faults) > 2 * (fit.free.major_faults or 0) + 100


def limit_words(limit: int | None) -> str:
    """Names a limit: ``limit 236 MB``, or ``no limit``."""
    return "no limit" if limit is None else f"limit {format_bytes(limit)}"


def trial_line(trial: Trial) -> str:
    """Says how one run of `fit` ended, as it is reported while others follow."""
    return f"{limit_words(trial.bytes)}: {trial.outcome} after {format_seconds(trial.seconds)}"
