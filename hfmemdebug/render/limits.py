"""The cells of a run under a limit, and of `fit`."""

from __future__ import annotations

from typing import Any

from hfmemdebug.render.text import one_line
from hfmemdebug.units import format_bytes, format_count, format_seconds

LIMIT_HEADER = ["", "Value"]
_LIMIT_ROWS = (
    ("Limit", "bytes", format_bytes),
    ("Swap beyond it", "swap_bytes", format_bytes),
    ("Enforced by", "how", str),
    ("Peak", "peak_bytes", format_bytes),
    ("File pages at the peak", "file_bytes_at_peak", format_bytes),
    ("Peak not reclaimable", "peak_unreclaimable_bytes", format_bytes),
    ("OOM kills", "oom_kills", format_count),
    ("Times at the limit", "limit_hits", format_count),
    ("Times throttled", "throttled", format_count),
    ("Waited for memory", "stalled_seconds", format_seconds),
    ("Pages read from disk", "major_faults", format_count),
    ("Outcome", "outcome", str),
    ("Exit status", "exit_status", str),
    ("Wall time", "seconds", format_seconds),
)


def limit_cells(limit: dict[str, Any]) -> list[list[str]]:
    """A run under a limit as rows of a label and a value."""
    return [
        [label, one_line(show(limit[key]), 80)]
        for label, key, show in _LIMIT_ROWS
        if limit.get(key) is not None
    ]


FIT_HEADER = ["Limit", "Outcome", "Time", "Times as long", "Pages read from disk", "Waited for memory"]


def fit_cells(fit: dict[str, Any]) -> list[list[str]]:
    """The runs of `fit` as cells under `FIT_HEADER`: the one without a limit, then from the largest down."""
    free = fit["free"]
    trials = sorted(fit["tried"], key=lambda trial: trial["bytes"], reverse=True)
    return [
        [
            "none" if trial["bytes"] is None else format_bytes(trial["bytes"]),
            one_line(trial["outcome"], 40),
            format_seconds(trial["seconds"]),
            f"{trial['seconds'] / free['seconds']:.1f}" if trial["outcome"] == "completed" else "–",
            format_count(trial["major_faults"]),
            format_seconds(trial["stalled_seconds"]),
        ]
        for trial in (free, *trials)
    ]


def fit_bars(fit: dict[str, Any], width: int = 16) -> list[str]:
    """The curve: for each row of `fit_cells` a bar as long as its time; nothing where it did not finish."""
    trials = [fit["free"], *sorted(fit["tried"], key=lambda trial: trial["bytes"], reverse=True)]
    longest = max(trial["seconds"] for trial in trials if trial["outcome"] == "completed")
    return [
        "#" * max(1, round(width * trial["seconds"] / longest)) if trial["outcome"] == "completed" else ""
        for trial in trials
    ]
