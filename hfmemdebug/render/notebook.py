"""A result in a cell of a notebook: the verdict, a chart that is drawn in place, and tables.

No script and nothing from the network: a notebook that is not trusted, or is shown on GitHub, looks the same.

Results and recorders lie below this room and know nothing of it: they are given the methods that show them here, and
`hfmemdebug` imports this module with the first public name that leads to one of them.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from hfmemdebug.errors import InputError
from hfmemdebug.measure.recorder import Recorder, Watched
from hfmemdebug.recording.file import Recording, load_recording
from hfmemdebug.recording.sample import Sample
from hfmemdebug.render import words
from hfmemdebug.render.chart import SERIES, thin
from hfmemdebug.render.sections import Extent, sections
from hfmemdebug.render.tables import Table
from hfmemdebug.result import Result
from hfmemdebug.units import format_bytes

_SHOWN = Extent(arms=8)
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 640, 180, 70, 26, 22
_MOST_POINTS = 300
_NAMES = {"file": "mapped file pages", "anon": "anonymous", "shmem": "shared"}
_COLOUR_OF = {"leak": "#dc2626", "no-leak": "#15803d"}


def notebook_html(result: Result, recordings: Sequence[Recording] = ()) -> str:
    """Returns the cell: verdict, a chart of each recording, the arms' figures and what grew.

    Args:
        result: The result. Private text in it is shown as it stands: redact it before.
        recordings: Its recordings, for the charts.
    """
    verdict, rest = words.verdict_sentence(result)
    colour = _COLOUR_OF.get(result.verdict or "", "#b45309")
    parts = [f'<p><strong style="color:{colour}">{html.escape(verdict)}</strong>{html.escape(rest)}</p>']
    parts += [chart for recording in recordings if (chart := svg_chart(recording))]
    found = sections(result, _SHOWN)
    parts += [_table(table) for key in ("runs", "findings") if key in found for table in found[key].tables]
    lines = [
        line
        for key in ("sites", "holders", "advice", "warnings")
        if key in found
        for line in found[key].lines
    ]
    if lines:
        parts.append(f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>")
    return f"<div>{''.join(parts)}</div>"


def svg_chart(recording: Recording) -> str:
    """Draws the parts of RSS as lines on one scale from 0; empty where there are fewer than two samples."""
    samples = thin([s for s in recording.points if s.anon is not None], _MOST_POINTS)
    shown = [s for s in SERIES if s[0] != "shmem" or any((x.shmem or 0) >= 1 << 20 for x in samples)]
    top = max((getattr(sample, name) or 0 for sample in samples for name, _, _ in shown), default=0)
    if len(samples) < 2 or top == 0:
        return ""
    bottom = _HEIGHT - _BOTTOM
    legend, lines = [], []
    for place, (name, _, colour) in enumerate(shown):
        points = " ".join(_point(number, len(samples), s, name, top) for number, s in enumerate(samples))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        ends = f"{format_bytes(getattr(samples[0], name))} to {format_bytes(getattr(samples[-1], name))}"
        legend.append(f'<text x="{_LEFT + place * 270}" y="14" fill="{colour}">{_NAMES[name]}: {ends}</text>')
    unit = "samples" if recording.watched else "items"
    axes = (
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{_WIDTH}" y2="{bottom}" stroke="currentColor" opacity="0.4"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + 8}" text-anchor="end">{format_bytes(top)}</text>'
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 6}" text-anchor="end">{len(recording.points):,} {unit}</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" '
        f'aria-label="Memory over the recording" font-family="sans-serif" font-size="12" fill="currentColor">'
        f"{''.join(legend)}{axes}{''.join(lines)}</svg>"
    )


def _point(number: int, count: int, sample: Sample, name: str, top: int) -> str:
    across = _LEFT + number / (count - 1) * (_WIDTH - _LEFT)
    height = (getattr(sample, name) or 0) / top * (_HEIGHT - _BOTTOM - _TOP)
    return f"{across:.1f},{_HEIGHT - _BOTTOM - height:.1f}"


def _table(table: Table) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return "".join(
            f'<{tag} style="text-align:{"left" if place in table.text else "right"};padding:1px 8px">'
            f"{html.escape(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in table.rows)
    return f"<table><thead><tr>{line('th', table.header)}</tr></thead><tbody>{body}</tbody></table>"


def _markdown_of_result(result: Result) -> str:
    """Returns the result as Markdown for a GitHub issue, without what is private and without a chart."""
    from hfmemdebug.render.markdown import render_markdown
    from hfmemdebug.render.redact import Redactor

    return render_markdown(Redactor.of_this_machine().result(result), ())


def _html_of_result(result: Result) -> str:
    """Returns the result as notebooks show the last value of a cell."""
    from hfmemdebug.render.redact import Redactor

    return notebook_html(Redactor.of_this_machine().result(result))


def _html_of_recorder(recorder: Recorder) -> str:
    """Returns a table and a chart of what was recorded so far, as notebooks show the last value of a cell."""
    from hfmemdebug.render.redact import Redactor

    redactor = Redactor.of_this_machine()
    try:
        result = recorder.result()
        recording = load_recording(recorder.path)
    except InputError as error:
        line = error.line()
        return f"<p>{html.escape(redactor(line[:1].upper() + line[1:]))}</p>"
    return notebook_html(redactor.result(result), [redactor.recording(recording)])


def _html_of_watched(watched: Watched[Any]) -> str:
    return _html_of_recorder(watched.recorder)


Result.to_markdown = _markdown_of_result
Result._repr_html_ = _html_of_result
Recorder._repr_html_ = _html_of_recorder
Watched._repr_html_ = _html_of_watched
