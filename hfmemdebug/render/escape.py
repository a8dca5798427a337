"""Foreign text inside Markdown: it must neither break the page nor call people."""

from __future__ import annotations

import re

from hfmemdebug.render.text import clean, one_line

_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_SPECIAL = re.compile(r"([\\*\[\]|~$`]|(?<!\w)_|_(?!\w))")
# GitHub looks for mentions and issue numbers after it has rendered the page, so that no escape helps:
# a character without width has to stand between.
_CALL = re.compile(r"([@#])(?=\w)")
_MARK_AT_START = re.compile(r"^([-+]|#{1,6})(?=\s|$)")
_NUMBER_AT_START = re.compile(r"^(\d+)([.)])(?=\s|$)")


def prose(text: str, most: int = 400) -> str:
    """Text on one line, in which only pairs of backticks mean anything."""
    line = one_line(text, most)
    parts: list[str] = []
    end = 0
    for code in _CODE.finditer(line):
        parts += [_escape(line[end : code.start()]), code[0].replace("|", "\\|")]
        end = code.end()
    parts.append(_escape(line[end:]))
    return _NUMBER_AT_START.sub(r"\1\\\2", _MARK_AT_START.sub(r"\\\1", "".join(parts)))


def cell(text: str, most: int = 200) -> str:
    """Text for a cell of a table; an indent, which Markdown drops, becomes one of spaces that stay."""
    indent = len(text) - len(text.lstrip(" "))
    return "&nbsp;" * (2 * indent) + prose(text, most)


def fence(text: str, language: str = "") -> str:
    """Text in a fence that is longer than any run of backticks in it."""
    body = clean(text).strip("\n")
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{body}\n{ticks}"


def table(header: list[str], rows: list[list[str]], *, right: int = 1) -> str:
    """A table; the columns from `right` on are aligned to the right."""
    marks = ["---" if place < right else "---:" for place in range(len(header))]
    lines = [[cell(text) for text in header], marks, *([cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def html(text: str, most: int = 200) -> str:
    """Text on one line inside an HTML tag, where Markdown's escapes would show."""
    return _no_calls(_entities(one_line(text, most)))


def verbatim(text: str, most: int = 200) -> str:
    """Text that stands as it was printed elsewhere, as far as it calls nobody and is no markup of HTML's."""
    return html(text, most)


def _escape(text: str) -> str:
    return _no_calls(_SPECIAL.sub(r"\\\1", _entities(text)))


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _no_calls(text: str) -> str:
    return _CALL.sub("\\1\u200b", text)
