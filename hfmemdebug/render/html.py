"""A run as one HTML file that asks for nothing from anywhere: charts to point at, and all tables beside them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfmemdebug._version import __version__
from hfmemdebug.recording.file import Recording
from hfmemdebug.render import words
from hfmemdebug.render.picture import chart_subtitle
from hfmemdebug.render.plot import arm_chart, fit_curve, process_charts, top_of
from hfmemdebug.render.reporters import drawing_library
from hfmemdebug.render.retained_chart import retained_chart
from hfmemdebug.render.sections import Extent, Section, heading_lines, sections
from hfmemdebug.render.tables import Table
from hfmemdebug.render.text import one_line
from hfmemdebug.render.vega import Spec
from hfmemdebug.result import Result

_PAGE = Path(__file__).with_name("page.html")
_MOST_POINTS = 2000
_MOST_POINTS_OF_PROCESS = 400
_SHOWN = Extent(arms=8, thorough=True)
_ORDER = (
    "findings", "ranks", "processes", "limit", "runs", "fit", "detection", "sites", "holders", "advice", "warnings",
    "commands",
)  # fmt: skip
_CODE = re.compile(r"`([^`]+)`")


def render_html(result: Result, recordings: Sequence[Recording], *, library: str | None = None) -> str:
    """Returns the page: verdict, charts, tables, advice, environment.

    Args:
        result: The result. Private text in it is shown as it stands: redact it before.
        recordings: The arms.
        library: The JavaScript that draws (Vega, with `hfmemdebugEmbed` on `window`); by default what
            vl-convert brings.

    Raises:
        UsageError: vl-convert is not installed.
    """
    if library is None:
        library = drawing_library("an .html report").javascript_bundle("window.hfmemdebugEmbed = vegaEmbed;")
    charts = _charts(result, recordings[: _SHOWN.arms])
    verdict, rest = words.verdict_sentence(result)
    parts = {
        "title": _text(f"{verdict}{rest}"),
        "verdict": _text(verdict or f"hfmemdebug {result.command}"),
        "verdict_class": result.verdict if result.verdict in ("leak", "no-leak") else "inconclusive",
        "sentence": _text(words.sentence_after(rest)),
        "about": "".join(f"<p>{_text(line)}</p>" for line in heading_lines(result)),
        "charts": "\n".join(_figure(number, chart) for number, chart in enumerate(charts)),
        "note": _note(result, bool(charts)),
        "sections": "\n".join(_sections(result)),
        "version": __version__,
        "specs": json.dumps(charts, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c"),
        "library": _inside_script(library),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _PAGE.read_text(encoding="utf-8"))


def _charts(result: Result, recordings: Sequence[Recording]) -> list[Spec]:
    """Returns the charts, the most telling first."""
    top = top_of(recordings)
    charts = [
        arm_chart(r, top=top, most=_MOST_POINTS, subtitle=chart_subtitle(r, result)) for r in recordings
    ]
    # Where there is a leak, its ramp is what there is to see.
    charts.insert(0 if result.verdict == "leak" else len(charts), retained_chart(result, recordings))
    charts.insert(0, fit_curve(result.fit) if result.fit else None)
    for recording in recordings:
        charts += process_charts(recording, most=_MOST_POINTS_OF_PROCESS)
    return [chart for chart in charts if chart is not None]


def _figure(number: int, chart: Spec) -> str:
    """Returns a place for a chart; its title stands outside, where it wraps on a phone."""
    title = chart.pop("title")
    caption = f"<strong>{_text(title['text'])}</strong><br>{_text(title['subtitle'])}"
    label = _text(f"{title['text']}. {title['subtitle']}")
    return (
        f'<figure><figcaption>{caption}</figcaption><div class="chart" id="chart-{number}" role="img" '
        f'aria-label="{label}"></div></figure>'
    )


def _note(result: Result, drawn: bool) -> str:
    if not drawn and result.verdict is None:
        return ""
    if not drawn:
        return "<p class=note>There is no chart: the recordings hold fewer than two slices.</p>"
    said = ["One MB is 1024 × 1024 bytes."]
    if any(arm.epochs > 1 and arm.mode == "mmap" for arm in result.arms):
        said.insert(0, "Mapped pages fall at the ends of epochs: hfmemdebug has them dropped there.")
    return f'<p class="note">{_text(" ".join(said))}</p>'


def _sections(result: Result) -> list[str]:
    found = sections(result, _SHOWN)
    parts = [_section(found[key]) for key in _ORDER if key in found]
    if result.environment:
        table = Table(["What", "Here"], list(map(list, result.environment.items())), frozenset({0, 1}))
        parts.append(f"<details><summary>Environment</summary>{_table(table)}</details>")
    return parts


def _section(section: Section) -> str:
    body = "".join(map(_table, section.tables))
    if section.lines:
        body += f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in section.lines)}</ul>"
    for introduced_by, command in section.commands:
        # A line each, as they are to be pasted into a shell.
        lines = "\n".join(map(_text, command.splitlines()))
        body += f"<p>{_text(introduced_by)}:</p>" if introduced_by else ""
        body += f"<pre>{lines}</pre>"
    return f"<section><h2>{_text(section.title)}</h2>{body}</section>"


def _table(table: Table) -> str:
    """Returns a table in a box of its own, which scrolls where the screen is narrow."""

    def line(tag: str, cells: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{'' if place in table.text else ' class=figure'}>{_indented(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )

    body = "".join(
        f"<tr{' class=leak' if number in table.leaks else ''}>{line('td', row)}</tr>"
        for number, row in enumerate(table.rows)
    )
    left = f"<p>{_text(table.left_out)}</p>" if table.left_out else ""
    head = f"<thead><tr>{line('th', table.header)}</tr></thead>"
    return f'<div class="table"><table>{head}<tbody>{body}</tbody></table></div>{left}'


def _indented(text: str) -> str:
    blanks = len(text) - len(text.lstrip(" "))
    return "&nbsp;" * (2 * blanks) + _text(text)


def _text(text: Any) -> str:
    """Returns foreign text as HTML; pairs of backticks become code."""
    return _CODE.sub(r"<code>\1</code>", html.escape(one_line(str(text), 2000), quote=True))


def _inside_script(text: str) -> str:
    """Returns a program that cannot end the script element it stands in, nor begin a comment there."""
    return re.sub("</(?=script)", r"<\\/", text, flags=re.IGNORECASE).replace("<!--", r"<\!--")
