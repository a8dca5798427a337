"""A run as one picture, PNG or SVG, for those who drag it into an issue; drawn by vl-convert (extra `plot`)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from hfmemdebug.recording.file import Recording
from hfmemdebug.render import words
from hfmemdebug.render.plot import arm_chart, fit_curve, parts_of, top_of
from hfmemdebug.render.reporters import drawing_library
from hfmemdebug.render.retained_chart import retained_chart
from hfmemdebug.render.vega import Spec, heading
from hfmemdebug.result import Result
from hfmemdebug.units import format_bytes

_MOST_ARMS = 4
# One look must show pages rising: further epochs repeat the first ones.
_EPOCHS = 3
_MOST_POINTS = 400
_WIDTH, _HEIGHT = 430, 190
_ACROSS = 2 * _WIDTH + 90
# Letters of the title that fit above two charts.
_LINE = 150
_COLOUR_OF = {"no-leak": "#15803d", "leak": "#b91c1c", "inconclusive": "#a16207"}


def render_png(result: Result, recordings: Sequence[Recording]) -> bytes:
    """Returns the run as a PNG of about 1000 points in width, at twice the resolution.

    Raises:
        UsageError: vl-convert is not installed.
    """
    png: bytes = drawing_library("a .png").vegalite_to_png(picture(result, recordings), scale=2)
    return png


def render_svg(result: Result, recordings: Sequence[Recording]) -> str:
    """Returns the run as an SVG.

    Raises:
        UsageError: vl-convert is not installed.
    """
    svg: str = drawing_library("a .svg").vegalite_to_svg(picture(result, recordings))
    return svg


def picture(result: Result, recordings: Sequence[Recording]) -> Spec:
    """Returns the Vega-Lite specification of the picture: verdict, arms, and what stays.

    Args:
        result: The result. Private text in it is shown as it stands: redact it before.
        recordings: The arms.
    """
    shown = recordings[:_MOST_ARMS]
    top, parts = top_of(shown), parts_of(shown)
    width = _WIDTH if len(shown) > 1 else _ACROSS
    charts = (
        arm_chart(
            recording,
            top=top,
            parts=parts,
            most=_MOST_POINTS,
            epochs=_EPOCHS,
            hover=False,
            subtitle=chart_subtitle(recording, result),
        )
        for recording in shown
    )
    arms = [{**chart, "width": width, "height": _HEIGHT} for chart in charts if chart is not None]
    retained = retained_chart(result, shown)
    curve = fit_curve(result.fit) if result.fit else None
    rows: list[Spec] = []
    if curve is not None:
        rows.append({**curve, "width": 2 * _WIDTH, "height": 2 * _HEIGHT})
    if arms:
        rows.append({"concat": arms, "columns": 2, "spacing": 40, "resolve": {"scale": {"color": "shared"}}})
    if retained is not None:
        # Where there is a leak, its ramp is what there is to see.
        place = 0 if result.verdict == "leak" else len(rows)
        rows.insert(place, {**retained, "width": _ACROSS, "height": _HEIGHT})
    if not rows:
        # A picture has to show something; the title says what there is to say.
        rows.append({"data": {"values": []}, "mark": "point", "width": 2 * _WIDTH, "height": 1})
    return {
        "background": "white",
        "padding": 18,
        "title": _title(result),
        "spacing": 36,
        "vconcat": rows,
        "resolve": {"scale": {"color": "independent"}},
        "config": {"view": {"stroke": "#cbd5e1"}, "legend": {"labelFontSize": 11}},
    }


def _title(result: Result) -> Spec:
    verdict, rest = words.verdict_sentence(result)
    lines = textwrap.wrap(words.sentence_after(rest), _LINE)[:4]
    lines += [line for text in words.reclaim_lines(result)[:2] for line in textwrap.wrap(text, _LINE)[:2]]
    if any(arm.epochs > 1 and arm.mode == "mmap" for arm in result.arms):
        lines.append("Blue falls at the ends of epochs: hfmemdebug has the pages dropped there.")
    return heading(
        verdict or f"hfmemdebug {result.command}",
        lines,
        fontSize=24,
        color=_COLOUR_OF.get(result.verdict or "", "#334155"),
        subtitleFontSize=13,
        subtitleColor="#334155",
        subtitlePadding=6,
        offset=20,
    )


def chart_subtitle(recording: Recording, result: Result) -> str:
    """Returns how pages and anonymous memory grew in the first epoch."""
    name = recording.header.arm.name
    arm = next((arm for arm in result.arms if arm.name == name), None)
    grown = {k: arm.growth.get(k) for k in ("file", "anon", "shmem")} if arm is not None else {}
    said = {"file": "mapped pages", "anon": "anonymous", "shmem": "shared"}
    parts = [
        f"{said[k]} {format_bytes(v, signed=True)}"
        for k, v in grown.items()
        if v is not None and (k != "shmem" or v)
    ]
    when = "over the run" if recording.watched else "first epoch"
    return f"{when}: {', '.join(parts)}" if parts else ""
