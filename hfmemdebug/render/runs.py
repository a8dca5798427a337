"""Several runs: a list of those that are kept, and two side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from hfmemdebug.render.text import one_line, prose, table
from hfmemdebug.result import Comparison, Difference
from hfmemdebug.units import format_bytes

_LABELS = {
    "rss_growth": "RSS grew by",
    "file_growth": "  mapped file pages",
    "anon_growth": "  anonymous",
    "peak_rss": "Peak RSS",
    "peak_unreclaimable": "Peak not reclaimable",
}
_HEADER = ["", "Before", "After", "Change"]


def runs_terminal(runs: Sequence[Mapping[str, str | None]]) -> str:
    """Returns a line for each run that is kept, and how to look at one.

    Args:
        runs: As `hfmemdebug.recording.store.KeptRun.to_dict` has them.
    """
    if not runs:
        return "No run is kept. Run `hfmemdebug diagnose` first.\n"
    rows = [
        [
            str(run["when"]),
            run["verdict"] or "not judged",
            str(run["ended"]),
            one_line(str(run["command"]), 120),
        ]
        for run in runs
    ]
    lines = _columns([["When (UTC)", "Verdict", "Ended", "Command"], *rows], left=4)
    return "\n".join([*lines, "", f"One of them: hfmemdebug report {runs[0]['folder']}"]) + "\n"


def comparison_terminal(comparison: Comparison) -> str:
    """Returns the comparison as text in columns, which needs neither colour nor Unicode.

    Args:
        comparison: The two runs. Private text in it is shown as it stands: redact it before.
    """
    lines = [
        f"Before: {one_line(comparison.before, 1000)}",
        f"After:  {one_line(comparison.after, 1000)}",
    ]
    for name, figures in comparison.arms.items():
        cells = [_cells(figure, comparison.iteration) for figure in figures]
        lines += ["", *_columns([[one_line(name, 40), *_HEADER[1:]], *cells])]
    return "\n".join(lines) + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """Returns the comparison as Markdown; see `comparison_terminal`."""
    parts = [f"### Before: {prose(comparison.before, 1000)}", f"### After: {prose(comparison.after, 1000)}"]
    for name, figures in comparison.arms.items():
        header = [one_line(name, 60), *_HEADER[1:]]
        parts.append(table(header, [_cells(figure, comparison.iteration) for figure in figures]))
    return "\n\n".join(parts) + "\n"


def comparison_json(comparison: Comparison) -> str:
    """Returns the comparison as a JSON document."""
    return json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False) + "\n"


def _columns(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Aligns cells: the first `left` columns to the left, the others to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(width) if place < left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _cells(figure: Difference, iteration: str) -> list[str]:
    label = _LABELS.get(figure.figure, f"Stays in use per {one_line(iteration, 30)}")
    signed = not figure.figure.startswith("peak")
    change = format_bytes(figure.change, signed=True)
    if figure.uncertainty is not None:
        change += f" +/- {format_bytes(figure.uncertainty)}"
        if figure.told is False:
            change += " (noise)"
    return [
        label,
        format_bytes(figure.before, signed=signed),
        format_bytes(figure.after, signed=signed),
        change,
    ]
