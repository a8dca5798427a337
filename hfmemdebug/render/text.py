"""Foreign text made safe to show: on one line; in Markdown it must neither break the page nor call people."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from hfmemdebug.units import format_bytes

_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_SPECIAL = re.compile(r"([\\*\[\]|~$`]|(?<!\w)_|_(?!\w))")
# GitHub looks for mentions and issue numbers after it has rendered the page, so that no escape helps:
# a character without width has to stand between.
_CALL = re.compile(r"([@#])(?=\w)")
_MARK_AT_START = re.compile(r"^([-+]|#{1,6})(?=\s|$)")
_NUMBER_AT_START = re.compile(r"^(\d+)([.)])(?=\s|$)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Returns text without the control characters that could move the cursor or reverse a line."""
    return _CONTROL.sub("�", text.replace("\r\n", "\n"))


def one_line(text: str, most: int = 400) -> str:
    """Returns text on one line, cut where it is longer than `most` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def percent(share: float | None) -> str:
    """Returns a share as ``12%``, with more digits where it is small."""
    if share is None:
        return "–"
    return f"{share:.2%}" if 0 < share < 0.001 else f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def fine_bytes(value: float | None) -> str:
    """Returns bytes below one hundred with the digits that a rate per row needs."""
    if value is None or value == 0 or abs(value) >= 100:
        return format_bytes(value)
    return f"{value:.3g} B"


def prose(text: str, most: int = 400) -> str:
    """Returns text on one line, in which only pairs of backticks mean anything."""
    line = one_line(text, most)
    parts: list[str] = []
    end = 0
    for code in _CODE.finditer(line):
        parts += [_escape(line[end : code.start()]), code[0].replace("|", "\\|")]
        end = code.end()
    parts.append(_escape(line[end:]))
    return _NUMBER_AT_START.sub(r"\1\\\2", _MARK_AT_START.sub(r"\\\1", "".join(parts)))


def cell(text: str, most: int = 200) -> str:
    """Returns text for a cell of a table; an indent, which Markdown drops, becomes one of spaces that stay."""
    indent = len(text) - len(text.lstrip(" "))
    return "&nbsp;" * (2 * indent) + prose(text, most)


def fence(text: str, language: str = "") -> str:
    """Returns text in a fence that is longer than any run of backticks in it."""
    body = clean(text).strip("\n")
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{body}\n{ticks}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], text: Container[int] = (0,)) -> str:
    """Returns a table of Markdown.

    Args:
        header: The heads.
        rows: The cells.
        text: Places of the columns that are aligned to the left; the others are figures.
    """
    marks = ["---" if place in text else "---:" for place in range(len(header))]
    lines = [[cell(head) for head in header], marks, *([cell(each) for each in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def html(text: str, most: int = 200) -> str:
    """Returns text on one line inside an HTML tag, where Markdown's escapes would show."""
    return _no_calls(_entities(one_line(text, most)))


def _escape(text: str) -> str:
    return _no_calls(_SPECIAL.sub(r"\\\1", _entities(text)))


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _no_calls(text: str) -> str:
    return _CALL.sub("\\1\u200b", text)
