"""Pieces of text that are safe to show wherever a report is read."""

from __future__ import annotations

import re

from hfmemdebug.units import format_bytes

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Text without the control characters that could move the cursor or reverse a line."""
    return _CONTROL.sub("�", text.replace("\r\n", "\n"))


def one_line(text: str, most: int = 400) -> str:
    """Text on one line, cut where it is longer than `most` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def percent(share: float | None) -> str:
    """A share as ``12%``, with more digits where it is small."""
    if share is None:
        return "–"
    return f"{share:.2%}" if 0 < share < 0.001 else f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def fine_bytes(value: float | None) -> str:
    """Bytes below one hundred with the digits that a rate per row needs."""
    if value is None or value == 0 or abs(value) >= 100:
        return format_bytes(value)
    return f"{value:.3g} B"
