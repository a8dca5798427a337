"""Two runs side by side, as a screen and as Markdown."""

from __future__ import annotations

from hfmemdebug.comparison import Comparison, Difference
from hfmemdebug.render.escape import prose, table
from hfmemdebug.render.text import one_line
from hfmemdebug.units import format_bytes

_LABELS = {
    "rss_growth": "RSS grew by",
    "file_growth": "  mapped file pages",
    "anon_growth": "  anonymous",
    "peak_rss": "Peak RSS",
    "peak_unreclaimable": "Peak not reclaimable",
}
_HEADER = ["", "Before", "After", "Change"]


def comparison_terminal(comparison: Comparison) -> str:
    """The comparison as text of columns, which needs neither colour nor Unicode.

    Args:
        comparison: The two runs. Private text in it is shown as it stands: redact it before.
    """
    lines = [
        f"Before: {one_line(comparison.before, 1000)}",
        f"After:  {one_line(comparison.after, 1000)}",
    ]
    for name, figures in comparison.arms.items():
        rows = [[one_line(name, 40), *_HEADER[1:]], *(_cells(f, comparison.iteration) for f in figures)]
        widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADER))]
        lines.append("")
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """The comparison as Markdown; see `comparison_terminal`."""
    parts = [f"### Before: {prose(comparison.before, 1000)}", f"### After: {prose(comparison.after, 1000)}"]
    for name, figures in comparison.arms.items():
        header = [one_line(name, 60), *_HEADER[1:]]
        parts.append(table(header, [_cells(figure, comparison.iteration) for figure in figures]))
    return "\n\n".join(parts) + "\n"


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
