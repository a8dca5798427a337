"""Charts as text: a recording's memory as a mermaid `xychart-beta` block, which GitHub draws."""

from __future__ import annotations

from collections.abc import Sequence
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
    """At most `most` of the items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def mermaid_chart(recording: Recording, title: str) -> str | None:
    """RSS split over the slices of one arm, as the text inside a mermaid fence.

    Args:
        recording: The arm.
        title: The chart's title; quotes and brackets are taken out of it, since mermaid would stumble.

    Returns:
        The block, with a line of Markdown below it that names the series; None where fewer than two
        samples have the split.
    """
    samples = [s for s in recording.slices if s.file is not None and s.anon is not None]
    if len(samples) < 2:
        return None
    shown = thin(samples, MOST_POINTS)
    series = [s for s in SERIES if s[0] != "shmem" or max(_megabytes(shown, "shmem")) >= 1]
    lines = [_megabytes(shown, name) for name, _, _ in series]
    top = max(1, round(max(max(line) for line in lines) * 1.05))
    palette = ", ".join(colour for _, _, colour in series)
    named = "; ".join(f"{colour}: {_SERIES_WORDS[name]}" for name, colour, _ in series)
    # Without this a reader takes our own doing for the kernel's, or for an error.
    dropped = (
        " Pages fall where an epoch ends: we had them dropped there."
        if recording.settled("drop_pages")
        else ""
    )
    return "\n".join(
        [
            "```mermaid",
            f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{palette}"}}}}}}}}%%',
            "xychart-beta",
            f'    title "{_plain(title)}"',
            f'    x-axis "{work_words(recording)}" 1 --> {len(samples)}',
            f'    y-axis "MB" 0 --> {top}',
            *(f"    line [{', '.join(map(str, line))}]" for line in lines),
            "```",
            "",
            f"{named[0].upper()}{named[1:]}.{dropped} One MB is 1024 × 1024 bytes.",
        ]
    )


def fit_chart(fit: dict[str, Any]) -> str | None:
    """Wall time over the limits under which a command finished; None where those are fewer than two."""
    passed = {t["bytes"]: t["seconds"] for t in fit["tried"] if t["outcome"] == "completed"}
    if len(passed) < 2:
        return None
    limits = sorted(passed)
    names = ", ".join(f'"{round(limit / _MB)}"' for limit in limits)
    times = [round(passed[limit], 2) for limit in limits]
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            '    title "Wall time under each limit"',
            f'    x-axis "limit, MB" [{names}]',
            f'    y-axis "seconds" 0 --> {max(times) * 1.05:.2f}',
            f"    line [{', '.join(map(str, times))}]",
            "```",
        ]
    )


def work_words(recording: Recording) -> str:
    """What a chart's axis counts."""
    return "look, from start to end" if recording.watched else f"{work_unit(recording)}, all epochs in a row"


def work_unit(recording: Recording) -> str:
    """What a recording has a reading after: ``slice``, ``item``, ``call``, ``step``; ``look`` from outside."""
    return "look" if recording.watched else one_line(recording.header.iteration, 30)


def _megabytes(samples: Sequence[Sample], name: str) -> list[int]:
    return [round((getattr(sample, name) or 0) / _MB) for sample in samples]


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() or c in " .,:+-_/()" else " " for c in text)[:80]
