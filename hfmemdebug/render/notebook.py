"""A result in a cell of a notebook: the verdict, a chart that is drawn in place, and tables.

No script and nothing from the network: a notebook that is not trusted, or is shown on GitHub, looks the same.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import Sample
from hfmemdebug.render import words
from hfmemdebug.render.arms import arm_rows
from hfmemdebug.render.chart import SERIES, thin
from hfmemdebug.result import Result
from hfmemdebug.units import format_bytes

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 640, 180, 70, 26, 22
_MOST_POINTS = 300
_NAMES = {"file": "mapped file pages", "anon": "anonymous", "shmem": "shared"}
_COLOUR_OF = {"leak": "#dc2626", "no-leak": "#15803d"}
_CELL = 'style="text-align:right;padding:1px 8px"'


def notebook_html(result: Result, recordings: Sequence[Recording] = ()) -> str:
    """The cell: verdict, a chart of each recording, the arms' figures and what grew.

    Args:
        result: The result. Private text in it is shown as it stands: redact it before.
        recordings: Its recordings, for the charts.
    """
    verdict, rest = words.verdict_sentence(result)
    colour = _COLOUR_OF.get(result.verdict or "", "#b45309")
    parts = [f'<p><strong style="color:{colour}">{html.escape(verdict)}</strong>{html.escape(rest)}</p>']
    parts += [chart for recording in recordings if (chart := svg_chart(recording))]
    if result.verdict is not None and result.arms:
        rows = [[label, *cells] for label, cells in arm_rows(result)]
        parts.append(_table(["", *(arm.name for arm in result.arms)], rows))
    if result.findings:
        header = words.finding_header(result)
        parts.append(_table(header, [words.finding_cells(finding) for finding in result.findings]))
    lines = [*words.site_lines(result), *words.holder_lines(result), *result.advice, *result.warnings]
    if lines:
        parts.append(f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>")
    return f"<div>{''.join(parts)}</div>"


def notebook_note(text: str) -> str:
    """A cell that has nothing but a line to show."""
    return f"<p>{html.escape(text)}</p>"


def svg_chart(recording: Recording) -> str:
    """The parts of RSS over a recording as lines on one scale from 0; empty where there are fewer than two readings."""
    samples = thin([s for s in recording.slices if s.anon is not None], _MOST_POINTS)
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
    unit = "looks" if recording.watched else "items"
    axes = (
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{_WIDTH}" y2="{bottom}" stroke="currentColor" opacity="0.4"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + 8}" text-anchor="end">{format_bytes(top)}</text>'
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 6}" text-anchor="end">{len(recording.slices):,} {unit}</text>'
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


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        first = f'<{tag} style="text-align:left;padding:1px 8px">{html.escape(cells[0])}</{tag}>'
        return first + "".join(f"<{tag} {_CELL}>{html.escape(cell)}</{tag}>" for cell in cells[1:])

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{line('th', header)}</tr></thead><tbody>{body}</tbody></table>"
