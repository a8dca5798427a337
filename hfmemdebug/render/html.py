"""A run as one HTML file that asks for nothing from anywhere: charts to point at, and all tables beside them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any

from hfmemdebug._version import __version__
from hfmemdebug.recording.file import Recording
from hfmemdebug.render import words
from hfmemdebug.render.arms import arm_rows
from hfmemdebug.render.fit_plot import fit_curve
from hfmemdebug.render.kept import kept_chart
from hfmemdebug.render.limits import FIT_HEADER, LIMIT_HEADER, fit_cells, limit_cells
from hfmemdebug.render.picture import chart_subtitle, drawing_library
from hfmemdebug.render.plot import Spec, arm_chart, process_charts, top_of
from hfmemdebug.render.processes import Table, process_tables
from hfmemdebug.render.ranks import rank_tables
from hfmemdebug.render.text import one_line
from hfmemdebug.result import Result

_PAGE = Path(__file__).with_name("page.html")
_MOST_POINTS = 2000
_MOST_POINTS_OF_PROCESS = 400
_MOST_ARMS = 8
_CODE = re.compile(r"`([^`]+)`")


def render_html(result: Result, recordings: Sequence[Recording], *, library: str | None = None) -> str:
    """The page: verdict, charts, tables, advice, environment.

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
    recordings = recordings[:_MOST_ARMS]
    top = top_of(recordings)
    charts = [
        chart
        for recording in recordings
        if (
            chart := arm_chart(
                recording, top=top, most=_MOST_POINTS, subtitle=chart_subtitle(recording, result)
            )
        )
    ]
    kept = kept_chart(result, recordings)
    if kept is not None:
        charts.insert(0 if result.verdict == "leak" else len(charts), kept)
    for recording in recordings:
        charts += process_charts(recording, most=_MOST_POINTS_OF_PROCESS)
    curve = fit_curve(result.fit) if result.fit else None
    if curve is not None:
        charts.insert(0, curve)
    verdict, rest = words.verdict_sentence(result)
    parts = {
        "title": _text(f"{verdict}{rest}"),
        "verdict": _text(verdict or f"hfmemdebug {result.command}"),
        "verdict_class": result.verdict if result.verdict in ("leak", "no-leak") else "inconclusive",
        "sentence": _text(words.sentence_after(rest)),
        "about": _about(result),
        "charts": "\n".join(_figure(number, chart) for number, chart in enumerate(charts)),
        "note": _note(result, bool(charts)),
        "sections": "\n".join(_sections(result)),
        "version": __version__,
        "specs": json.dumps(charts, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c"),
        "library": _inside_script(library),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _PAGE.read_text(encoding="utf-8"))


def _figure(number: int, chart: Spec) -> str:
    """A place for a chart; its title stands outside, where it wraps on a phone."""
    title = chart.pop("title")
    caption = f"<strong>{_text(title['text'])}</strong><br>{_text(title['subtitle'])}"
    label = _text(f"{title['text']}. {title['subtitle']}")
    return (
        f'<figure><figcaption>{caption}</figcaption><div class="chart" id="chart-{number}" role="img" '
        f'aria-label="{label}"></div></figure>'
    )


def _about(result: Result) -> str:
    lines = []
    if result.interrupted:
        lines.append("Interrupted: this is what had been measured until then.")
    origin = {"user-code": ", in the user's code", "library": ", in a library"}.get(result.origin or "", "")
    if result.cause:
        lines.append(f"Cause: {words.cause_words(result.cause)} (`{result.cause}`){origin}.")
    if rates := words.rates_line(result):
        lines.append(f"{rates}.")
    return "".join(f"<p>{_text(line)}</p>" for line in lines)


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
    commands = [text for text in (result.command_line, result.reproduce) if text]
    sections = {
        "What grew": _findings(result),
        "The ranks": _tables(rank_tables(result)),
        "The processes": _tables(process_tables(result)),
        "Memory limit": _limit(result),
        "The runs": _runs(result),
        "The runs under each limit": _table(
            FIT_HEADER, fit_cells(result.fit), figures=range(2, len(FIT_HEADER))
        )
        if result.fit
        else "",
        "What can be taken back, and what could be seen": _list(
            [*words.reclaim_lines(result), words.detectable_line(result)]
        )
        if result.verdict is not None
        else "",
        "Where it is allocated": _list(words.site_lines(result)),
        "What keeps it alive": _list(words.holder_lines(result)),
        "What to do next": _list(result.advice),
        "Warnings": _list(result.warnings),
        # A line each, as they are to be pasted into a shell.
        "Steps to reproduce": "".join(
            f"<pre>{chr(10).join(map(_text, command.splitlines()))}</pre>"
            for command in dict.fromkeys(commands)
        ),
    }
    parts = [f"<section><h2>{_text(t)}</h2>{body}</section>" for t, body in sections.items() if body]
    if result.environment:
        rows = [[label, value] for label, value in result.environment.items()]
        parts.append(f"<details><summary>Environment</summary>{_table(['What', 'Here'], rows)}</details>")
    return parts


def _findings(result: Result) -> str:
    if not result.findings:
        return ""
    rows = [words.finding_cells(finding, thorough=True) for finding in result.findings]
    details = [f"{words.cause_words(f.cause)}: {f.detail}" for f in result.findings if f.detail]
    marked = [finding.role == "leak" for finding in result.findings]
    return _table(words.finding_header(result), rows, figures=(2, 3), marked=marked) + _list(
        list(dict.fromkeys(details))
    )


def _runs(result: Result) -> str:
    if result.ranks is not None:
        return ""
    head = ["", *(arm.name for arm in result.arms[:_MOST_ARMS])]
    return _table(head, _arm_rows(result), figures=range(1, _MOST_ARMS + 1))


def _tables(tables: Iterable[Table]) -> str:
    parts = []
    for header, rows, left in tables:
        figures = [place for place, head in enumerate(header) if place and head != "What it is"]
        parts.append(_table(header, rows, figures=figures) + (f"<p>{_text(left)}</p>" if left else ""))
    return "".join(parts)


def _limit(result: Result) -> str:
    return _table(LIMIT_HEADER, limit_cells(result.limit), figures=(1,)) if result.limit else ""


def _arm_rows(result: Result) -> list[list[str]]:
    rows = [[label, *cells[:_MOST_ARMS]] for label, cells in arm_rows(result, thorough=True)]
    return rows + [["Ended by", *(arm.outcome_detail or "–" for arm in result.arms[:_MOST_ARMS])]] * any(
        arm.outcome_detail for arm in result.arms
    )


def _table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    figures: Container[int] = (),
    marked: Sequence[bool] = (),
) -> str:
    """A table in a box of its own, which scrolls where the screen is narrow.

    Args:
        header: The heads of the columns.
        rows: Their cells.
        figures: Columns that are aligned to the right.
        marked: For each row whether it is a leak's.
    """
    if not rows or len(header) < 2:
        return ""

    def line(tag: str, cells: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=figure' if place in figures else ''}>{_indented(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )

    body = "".join(
        f"<tr{' class=leak' if number < len(marked) and marked[number] else ''}>{line('td', row)}</tr>"
        for number, row in enumerate(rows)
    )
    return f'<div class="table"><table><thead><tr>{line("th", header)}</tr></thead><tbody>{body}</tbody></table></div>'


def _indented(text: str) -> str:
    blanks = len(text) - len(text.lstrip(" "))
    return "&nbsp;" * (2 * blanks) + _text(text)


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(item)}</li>' for item in items)}</ul>" if items else ""


def _text(text: Any) -> str:
    """Foreign text; pairs of backticks become code."""
    return _CODE.sub(r"<code>\1</code>", html.escape(one_line(str(text), 2000), quote=True))


def _inside_script(text: str) -> str:
    """A program that cannot end the script element it stands in, nor begin a comment there."""
    return re.sub("</(?=script)", r"<\\/", text, flags=re.IGNORECASE).replace("<!--", r"<\!--")
