"""A result on one screen of a terminal, or of a log that knows neither colours nor Unicode."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

from hfmemdebug.recording.file import Recording
from hfmemdebug.render import words
from hfmemdebug.render.chart import arm_name, thin, work_unit
from hfmemdebug.render.sections import Extent, Section, heading_lines, sections
from hfmemdebug.render.tables import Table, with_bars
from hfmemdebug.render.text import one_line
from hfmemdebug.result import Result
from hfmemdebug.units import format_bytes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_COLOUR_OF = {"no-leak": "bold green", "leak": "bold red", "inconclusive": "bold yellow"}
_SHOWN = Extent(arms=6, findings=5, lines=3)
_ABOVE_THE_CHART = ("fit", "ranks", "runs", "processes", "findings")
_BELOW_THE_CHART = ("sites", "holders", "detection", "advice", "warnings")
# The first column of a table where there is room and where there is little, and the blanks between two of them.
_LEAST, _LEAST_LABEL, _GAP = 8, 6, 2
_BARS = " ▁▂▃▄▅▆▇█"
_ASCII_BARS = " .:-=+*#@"
_LABELS = {"file": "mapped pages", "anon": "anonymous", "shmem": "shared"}
_MOST_CHARTS = 2
_MB = 1 << 20
_ASCII = str.maketrans(
    {"–": "-", "—": "-", "─": "-", "·": ".", "×": "x", "→": "->", "…": "...", "≥": ">=", "≤": "<=", "±": "+/-"}
    | {"‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " "}
)  # fmt: skip


def render_terminal(
    result: Result,
    recordings: Sequence[Recording] = (),
    *,
    width: int = 100,
    unicode: bool = True,
    colour: bool = False,
) -> str:
    """Returns the result as text of at most `width` columns: the verdict first, warnings last.

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
    found = sections(result, _SHOWN)
    if result.fit is not None:
        found["fit"] = replace(found["fit"], tables=[with_bars(found["fit"].tables[0], result.fit)])
    for key in _ABOVE_THE_CHART:
        _section(console, found.get(key))
    leaking = {f.arm for f in result.findings if f.role == "leak" and f.arm is not None}
    if lines := chart_lines(recordings, width=width, unicode=unicode, leaking=leaking):
        console.print()
        for line in lines:
            console.print(_plain(line), overflow="crop", no_wrap=True)
    for key in _BELOW_THE_CHART:
        if key == "detection" and key in found:
            console.print()
            for line in found[key].lines:
                console.print(_plain(line))
        else:
            _section(console, found.get(key))
    text = "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"
    return text if unicode else text.translate(_ASCII).encode("ascii", "replace").decode()


def render_verdict_line(result: Result) -> str:
    """Returns the verdict in one line, as `-q` prints it: the verdict in capitals and why."""
    verdict, rest = words.verdict_sentence(result)
    return verdict + rest


def chart_lines(
    recordings: Sequence[Recording], *, width: int, unicode: bool = True, leaking: Collection[str] = ()
) -> list[str]:
    """Draws mapped pages and anonymous memory over the slices, of the first arm of each mode, or of one that leaks.

    All rows of all arms have one scale, from nothing to the highest, so that what is flat looks flat.

    Args:
        recordings: The arms in the order in which they are shown.
        width: Columns at most.
        unicode: Whether characters beyond ASCII may be used.
        leaking: Names of the arms that leak.
    """
    first = sorted(recordings, key=lambda recording: recording.header.arm.name not in leaking)
    one_a_mode = {r.header.arm.mode: r for r in reversed(first)}.values()
    drawn = [
        (recording, rows)
        for recording in reversed(one_a_mode)
        if (rows := {name: row for name in _LABELS if len(row := _values(recording, name)) > 1})
    ][:_MOST_CHARTS]
    top = max((max(row) for _, rows in drawn for row in rows.values()), default=0)
    if top == 0:
        return []
    lines: list[str] = []
    for recording, rows in drawn:
        unit = work_unit(recording)
        lines.append(f"{arm_name(recording)}, over its {len(recording.points):,} {unit}s:")
        for name, row in rows.items():
            if name == "shmem" and max(row) < _MB:
                continue
            ends = f"{format_bytes(row[0])} to {format_bytes(row[-1])}, at most {format_bytes(max(row))}"
            picture = bars(thin(row, max(10, width - 18 - len(ends))), top, unicode=unicode)
            lines.append(f"  {_LABELS[name]:<13} {picture}  {ends}")
    return lines


def _values(recording: Recording, name: str) -> list[int]:
    return [value for sample in recording.points if (value := getattr(sample, name)) is not None]


def bars(values: Sequence[float], top: float, *, unicode: bool = True) -> str:
    """Returns values as a row of bars, scaled from 0 so that noise does not look like growth.

    Args:
        values: One bar each, from 0.
        top: The value of a full bar.
        unicode: Whether characters beyond ASCII may be used.
    """
    marks = _BARS if unicode else _ASCII_BARS
    # Anything above nothing is seen.
    return "".join(
        marks[max(min(8, round(8 * value / top)), 1 if value else 0) if top else 0] for value in values
    )


def _verdict(console: Console, result: Result) -> None:
    from rich.text import Text

    verdict, rest = words.verdict_sentence(result)
    console.print(Text.assemble((verdict, _COLOUR_OF.get(result.verdict or "", "bold")), (rest, "bold")))
    for line in heading_lines(result):
        console.print(_plain(line))


def _section(console: Console, section: Section | None) -> None:
    if section is None:
        return
    for table in section.tables:
        console.print()
        _table(console, table)
    if not section.tables:
        console.print()
        if len(section.lines) == 1:
            console.print(_plain(f"{section.title}: {one_line(section.lines[0])}"))
            return
        console.print(_plain(f"{section.title}:"))
    for line in section.lines:
        _hanging(console, "  - ", line)


def _table(console: Console, table: Table) -> None:
    from rich import box
    from rich.table import Table as Grid

    widths = _widths(table, console.width)
    shown = Grid(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    for place, title in enumerate(table.header):
        shown.add_column(
            # At its hyphens, where it does not fit: a word is not to be torn.
            _plain("\n".join(textwrap.wrap(title, widths[place])) if widths else title),
            justify="left" if place in table.text else "right",
            overflow="fold",
            width=widths[place] if widths else None,
        )
    for number, row in enumerate(table.rows):
        shown.add_row(*map(_plain, row), style="red" if number in table.leaks else None)
    console.print(shown)
    if table.left_out:
        console.print(_plain(table.left_out))


def _widths(table: Table, room: int) -> list[int] | None:
    """Returns the columns' widths so that neither a figure nor a word is torn; None where that does not go."""
    room -= _GAP * (len(table.header) - 1)
    wants, needs = [], []
    for place, title in enumerate(table.header):
        cells = [row[place] for row in table.rows]
        title_words = re.split(r"\s+|(?<=-)", title)
        longest = max(map(len, [*title_words, *(cell for cell in cells if place not in table.text)]))
        if place in table.text:
            longest = max([longest, *(min(16, len(word)) for cell in cells for word in cell.split())])
        wants.append(max(len(title), *map(len, cells), 1))
        needs.append(min(longest, _LEAST) if place == 0 and place in table.text else max(longest, 1))
    # Labels may be torn before figures are.
    needs[0] -= max(0, min(sum(needs) - room, needs[0] - _LEAST_LABEL)) if 0 in table.text else 0
    if sum(needs) > room:
        return None
    widths = needs
    for place, want in enumerate(wants):
        widths[place] += min(want - widths[place], room - sum(widths)) if want > widths[place] else 0
    return widths


def _hanging(console: Console, mark: str, text: str) -> None:
    """Prints a paragraph whose further lines are set in under the first one's text."""
    from rich.table import Table as Grid

    grid = Grid.grid()
    grid.add_column(width=len(mark))
    grid.add_column(overflow="fold")
    grid.add_row(_plain(mark), _plain(one_line(text)))
    console.print(grid)


def _plain(text: str) -> Text:
    """Returns text in which square brackets are no markup: names of files and arms may hold them."""
    from rich.text import Text

    return Text(text)
