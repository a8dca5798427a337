"""Charts as text: mermaid `xychart-beta` blocks, which GitHub draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import Sample
from hfmemdebug.render.text import one_line

MOST_POINTS = 60
_MB = 1 << 20
# Told apart by people who cannot tell red from green, on light and on dark. Mermaid's own palette
# begins with a colour that is all but white.
SERIES = (("file", "blue", "#3b82f6"), ("anon", "orange", "#e66100"), ("shmem", "purple", "#a855f7"))
_SERIES_WORDS = {
    "file": "mapped file pages, which the kernel can take back",
    "anon": "anonymous memory, which it cannot",
    "shmem": "shared memory, which it cannot",
}

T = TypeVar("T")


def thin(items: Sequence[T], most: int) -> list[T]:
    """Returns at most `most` of the items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def mermaid(
    title: str,
    x: str,
    y: tuple[str, float, float],
    lines: Sequence[Sequence[float]],
    *,
    colours: Sequence[str] = (),
    below: str = "",
) -> str:
    """Returns a line chart in its fence.

    Args:
        title: The chart's title; quotes and brackets are taken out of it, since mermaid would stumble.
        x: The x axis as mermaid writes it: ``"MB" 1 --> 9``.
        y: The y axis: its name, its lower and its upper end.
        lines: The values of each line.
        colours: The colours of the lines.
        below: A paragraph of Markdown below the fence.
    """
    name, low, high = y
    palette = (
        f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{", ".join(colours)}"}}}}}}}}%%'
    )
    return "\n".join(
        [
            "```mermaid",
            *([palette] if colours else []),
            "xychart-beta",
            f'    title "{_plain(title)}"',
            f"    x-axis {x}",
            f'    y-axis "{name}" {low:g} --> {high:g}',
            *(f"    line [{', '.join(f'{value:g}' for value in line)}]" for line in lines),
            "```",
            *(["", below] if below else []),
        ]
    )


def mermaid_chart(recording: Recording, title: str) -> str | None:
    """Returns RSS split over the slices of one arm, with a line of Markdown below it that names the series.

    Args:
        recording: The arm.
        title: The chart's title.

    Returns:
        None where fewer than two samples have the split.
    """
    samples = [s for s in recording.points if s.file is not None and s.anon is not None]
    if len(samples) < 2:
        return None
    shown = thin(samples, MOST_POINTS)
    series = [s for s in SERIES if s[0] != "shmem" or max(_megabytes(shown, "shmem")) >= 1]
    lines = [_megabytes(shown, name) for name, _, _ in series]
    named = "; ".join(f"{colour}: {_SERIES_WORDS[name]}" for name, colour, _ in series)
    # Without this a reader takes our own doing for the kernel's, or for an error.
    dropped = (
        " Pages fall where an epoch ends: we had them dropped there."
        if recording.settled("drop_pages")
        else ""
    )
    return mermaid(
        title,
        f'"{work_words(recording)}" 1 --> {len(samples)}',
        ("MB", 0, max(1, round(max(max(line) for line in lines) * 1.05))),
        lines,
        colours=[colour for _, _, colour in series],
        below=f"{named[0].upper()}{named[1:]}.{dropped} One MB is 1024 × 1024 bytes.",
    )


def fit_chart(fit: Mapping[str, Any]) -> str | None:
    """Returns wall time over the limits under which a command finished; None where those are fewer than two."""
    passed = {t["bytes"]: t["seconds"] for t in fit["tried"] if t["outcome"] == "completed"}
    if len(passed) < 2:
        return None
    limits = sorted(passed)
    names = ", ".join(f'"{round(limit / _MB)}"' for limit in limits)
    times = [round(passed[limit], 2) for limit in limits]
    return mermaid(
        "Wall time under each limit", f'"limit, MB" [{names}]', ("seconds", 0, max(times) * 1.05), [times]
    )


def arm_name(recording: Recording) -> str:
    """Returns the name in a recording's header, on one line."""
    return one_line(recording.header.arm.name or "run", 60)


def work_words(recording: Recording) -> str:
    """Returns the words for a chart's axis."""
    return (
        "sample, from start to end" if recording.watched else f"{work_unit(recording)}, all epochs in a row"
    )


def work_unit(recording: Recording) -> str:
    """Returns what a sample is taken after: ``slice``, ``item``, ``call``, ``step``; ``sample`` from outside."""
    return "sample" if recording.watched else one_line(recording.header.iteration, 30)


def _megabytes(samples: Sequence[Sample], name: str) -> list[int]:
    return [round((getattr(sample, name) or 0) / _MB) for sample in samples]


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() or c in " .,:+-_/()" else " " for c in text)[:80]
