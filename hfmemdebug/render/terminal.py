"""A result on one screen of a terminal, or of a log that knows neither colours nor Unicode."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

from hfmemdebug.recording.file import Recording
from hfmemdebug.render import words
from hfmemdebug.render.arms import arm_rows
from hfmemdebug.render.limits import FIT_HEADER, fit_bars, fit_cells
from hfmemdebug.render.processes import Table as Cells
from hfmemdebug.render.processes import process_tables
from hfmemdebug.render.ranks import rank_tables
from hfmemdebug.render.spark import spark_lines
from hfmemdebug.render.text import one_line
from hfmemdebug.result import Result

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_COLOUR_OF = {"no-leak": "bold green", "leak": "bold red", "inconclusive": "bold yellow"}
_MOST_ARMS = 6
# The first column of a table at least, and what lies between two of them.
_LEAST, _GAP = 8, 2
# The column of the arms' figures' names.
_LABELS = 32
_MOST_FINDINGS = 5
_MOST_LINES = 3
_ASCII = str.maketrans(
    {
        "–": "-",
        "—": "-",
        "─": "-",
        "·": ".",
        "×": "x",
        "→": "->",
        "…": "...",
        "≥": ">=",
        "≤": "<=",
        "±": "+/-",
    }
    | {"‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " "}
)


def render_terminal(
    result: Result,
    recordings: Sequence[Recording] = (),
    *,
    width: int = 100,
    unicode: bool = True,
    colour: bool = False,
) -> str:
    """The result as text of at most `width` columns: the verdict first, warnings last.

    Args:
        result: The result. Private text in it is shown as it stands: redact it before.
        recordings: The arms, for a small chart; without them there is none.
        width: Columns.
        unicode: Whether characters beyond ASCII may be used.
        colour: Whether to use the terminal's colours.
    """
    from rich.console import Console

    file = StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        highlight=False,
        legacy_windows=False,
        # A pager or a CI log is no terminal, whatever the environment of this process says.
        _environ={},
    )
    _verdict(console, result)
    if result.fit is not None:
        _fit(console, result.fit)
        _warnings(console, result)
    if result.verdict is None and result.processes is None:
        return _finished(file, unicode=unicode)
    if result.ranks is not None:
        _tables(console, rank_tables(result))
    elif result.arms and result.verdict is not None:
        _arms(console, result)
    if result.processes is not None:
        _tables(console, process_tables(result))
    if result.findings:
        _findings(console, result)
    leaking = {f.arm for f in result.findings if f.role == "leak" and f.arm is not None}
    if lines := spark_lines(recordings, width=width, unicode=unicode, leaking=leaking):
        console.print()
        for line in lines:
            console.print(_plain(line), overflow="crop", no_wrap=True)
    _leak(console, result)
    if result.verdict is not None or result.arms:
        _proof(console, result)
    _advice(console, result)
    _warnings(console, result)
    return _finished(file, unicode=unicode)


def _finished(file: StringIO, *, unicode: bool) -> str:
    text = "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"
    return text if unicode else _to_ascii(text)


def _fit(console: Console, fit: dict[str, Any]) -> None:
    table = _table()
    for place, head in enumerate([*FIT_HEADER, ""]):
        table.add_column(_plain(head), justify="left" if place in (1, len(FIT_HEADER)) else "right")
    for cells, bar in zip(fit_cells(fit), fit_bars(fit), strict=True):
        table.add_row(*map(_plain, cells), _plain(bar))
    console.print()
    console.print(table)


def render_verdict_line(result: Result) -> str:
    """The verdict in one line, as `-q` prints it: the verdict in capitals and why."""
    verdict, rest = words.verdict_sentence(result)
    return verdict + rest


def _verdict(console: Console, result: Result) -> None:
    from rich.text import Text

    verdict, rest = words.verdict_sentence(result)
    console.print(Text.assemble((verdict, _COLOUR_OF.get(result.verdict or "", "bold")), (rest, "bold")))
    if result.interrupted:
        console.print(Text("Interrupted: this is what had been measured until then."))


def _arms(console: Console, result: Result) -> None:
    table = _table()
    arms = result.arms[:_MOST_ARMS]
    table.add_column("", no_wrap=True)
    room = (console.width - _LABELS) // max(1, len(arms))
    for arm in arms:
        # At its hyphens, where it does not fit: a word is not to be torn.
        name = "\n".join(textwrap.wrap(one_line(arm.name, 60), max(12, room)))
        table.add_column(_plain(name), justify="right", overflow="fold")
    for label, cells in arm_rows(result):
        table.add_row(_plain(label), *(_plain(cell) for cell in cells[:_MOST_ARMS]))
    console.print()
    console.print(table)
    if len(result.arms) > _MOST_ARMS:
        console.print(
            f"and {len(result.arms) - _MOST_ARMS} more arms (all are in the report that -o FILE.json writes)"
        )
    for line in words.outcome_lines(result)[:_MOST_ARMS]:
        console.print(_plain(line))


def _tables(console: Console, tables: Iterable[Cells]) -> None:
    """Tables one below the other; counts of what is left out."""
    for header, rows, left in tables:
        table = _table()
        # What a column of figures needs so that neither a figure nor a word of its title is torn.
        needs = [
            max(*map(len, title.split()), *(len(row[place]) for row in rows)) if place else _LEAST
            for place, title in enumerate(header)
        ]
        wants = [max(len(title), *(len(row[place]) for row in rows)) for place, title in enumerate(header)]
        room = console.width - _GAP * (len(header) - 1)
        tight = sum(wants) > room >= sum(needs)
        for place, title in enumerate(header):
            # Text to the left, figures to the right.
            text = place == 0 or title in ("What it is", "Verdict", "Ended")
            table.add_column(
                _plain(title),
                justify="left" if text else "right",
                overflow="fold",
                width=needs[place] if tight and place else None,
            )
        for row in rows:
            table.add_row(*map(_plain, row))
        console.print()
        console.print(table)
        if left:
            console.print(_plain(left))


def _findings(console: Console, result: Result) -> None:
    table = _table()
    header = words.finding_header(result)
    rows = [words.finding_cells(finding) for finding in result.findings[:_MOST_FINDINGS]]
    if len({finding.arm for finding in result.findings}) == 1:
        header, rows = [header[0], *header[2:]], [[row[0], *row[2:]] for row in rows]
    for place, head in enumerate(header):
        # Columns may be wrapped at blanks but not within words, as far as that goes.
        longest = max(len(word) for cell in (head, *(row[place] for row in rows)) for word in cell.split())
        right = head == "Growth" or head.startswith("Per ")
        table.add_column(
            _plain(head), justify="right" if right else "left", min_width=min(longest, 16), overflow="fold"
        )
    for finding, row in zip(result.findings, rows, strict=False):
        table.add_row(*map(_plain, row), style="red" if finding.role == "leak" else None)
    console.print()
    console.print(table)
    if len(result.findings) > _MOST_FINDINGS:
        console.print(f"and {len(result.findings) - _MOST_FINDINGS} smaller ones")


def _leak(console: Console, result: Result) -> None:
    details = [f.detail for f in result.findings if f.role == "leak" and f.detail]
    parts = {
        "What leaks": details,
        "Copied on write": words.copied_lines(result),
        "Allocated at": words.site_lines(result),
        "Kept by": words.holder_lines(result),
    }
    if any(parts.values()):
        console.print()
    for title, lines in parts.items():
        _list(console, title, lines)


def _proof(console: Console, result: Result) -> None:
    console.print()
    for line in words.reclaim_lines(result)[:_MOST_ARMS]:
        console.print(_plain(line))
    if result.verdict is None:
        # One reading shows no growth, and so has no size that it could have missed.
        return
    rates = words.rates_line(result)
    console.print(
        _plain(f"{rates}. {words.detectable_line(result)}" if rates else words.detectable_line(result))
    )


def _advice(console: Console, result: Result) -> None:
    if result.advice:
        console.print()
        _list(console, "What to do next", result.advice)


def _list(console: Console, title: str, items: Sequence[str]) -> None:
    if len(items) == 1:
        console.print(_plain(f"{title}: {one_line(items[0])}"))
        return
    if items:
        console.print(_plain(f"{title}:"))
    for item in items[:_MOST_LINES]:
        _hanging(console, "  - ", item)
    if len(items) > _MOST_LINES:
        console.print(f"  and {len(items) - _MOST_LINES} more")


def _warnings(console: Console, result: Result) -> None:
    if not result.warnings:
        return
    console.print()
    for warning in result.warnings[: _MOST_LINES + 1]:
        _hanging(console, "warning: ", warning)
    if len(result.warnings) > _MOST_LINES + 1:
        console.print(f"and {len(result.warnings) - _MOST_LINES - 1} more warnings")


def _hanging(console: Console, mark: str, text: str) -> None:
    """A paragraph whose further lines are set in under the first one's text."""
    from rich.table import Table

    grid = Table.grid()
    grid.add_column(width=len(mark))
    grid.add_column(overflow="fold")
    grid.add_row(_plain(mark), _plain(one_line(text)))
    console.print(grid)


def _table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )


def _plain(text: str) -> Text:
    """Text in which square brackets are no markup: names of files and arms may hold them."""
    from rich.text import Text

    return Text(text)


def _to_ascii(text: str) -> str:
    return text.translate(_ASCII).encode("ascii", "replace").decode()
