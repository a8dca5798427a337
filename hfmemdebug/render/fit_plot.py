"""The runs of `fit` as a Vega-Lite specification: time over limit, with what was found marked."""

from __future__ import annotations

from typing import Any

from hfmemdebug.render.plot import Spec
from hfmemdebug.units import format_bytes, format_seconds

_MB = 1 << 20
_COLOURS = {"completed": "#3b82f6", "killed": "#b91c1c", "too slow": "#a16207", "failed": "#64748b"}


def fit_curve(fit: dict[str, Any]) -> Spec | None:
    """Every run under a limit, the line of those that finished, and the time without a limit.

    Args:
        fit: The ``fit`` of the result document.

    Returns:
        A view without a size; None where nothing was run under a limit.
    """
    runs = [
        {
            "mb": trial["bytes"] / _MB,
            "seconds": trial["seconds"],
            "outcome": trial["outcome"],
            "text": f"{format_bytes(trial['bytes'])}: {trial['outcome']} after {format_seconds(trial['seconds'])}",
        }
        for trial in fit["tried"]
    ]
    if not runs:
        return None
    outcomes = [name for name in _COLOURS if any(run["outcome"] == name for run in runs)]
    x = {"field": "mb", "type": "quantitative", "title": "limit, MB", "scale": {"type": "log", "nice": False}}
    y = {"field": "seconds", "type": "quantitative", "title": "seconds", "scale": {"zero": True}}
    marks = [
        {"mb": fit[key] / _MB, "text": f"{what} {format_bytes(fit[key])}", "beside": beside}
        for key, what, beside in (
            ("smallest_bytes", "needs", "right"),
            ("knee_bytes", "slower below", "left"),
        )
        if fit.get(key)
    ]
    free = fit["free"]["seconds"]
    return {
        "title": {
            "text": "Wall time under each limit",
            "subtitle": f"dashed: without a limit, {format_seconds(free)}",
            "anchor": "start",
            "offset": 18,
        },
        "layer": [
            {
                "data": {"values": [{"seconds": free}]},
                "mark": {"type": "rule", "strokeDash": [4, 4], "color": "#64748b"},
                "encoding": {"y": {"field": "seconds", "type": "quantitative"}},
            },
            {
                "data": {"values": marks},
                "mark": {"type": "rule", "color": "#94a3b8"},
                "encoding": {"x": {"field": "mb", "type": "quantitative"}},
            },
            *(
                {
                    "data": {"values": [mark for mark in marks if mark["beside"] == beside]},
                    "mark": {"type": "text", "align": align, "dx": dx, "dy": 6, "fontSize": 11},
                    "encoding": {
                        "x": {"field": "mb", "type": "quantitative"},
                        "y": {"value": 0},
                        "text": {"field": "text"},
                    },
                }
                for beside, align, dx in (("right", "left", 4), ("left", "right", -4))
            ),
            {
                "data": {"values": [run for run in runs if run["outcome"] == "completed"]},
                "mark": {"type": "line", "color": _COLOURS["completed"], "opacity": 0.5},
                # Where a limit was tried more than once, the line goes through the mean.
                "encoding": {"x": x, "y": {**y, "aggregate": "mean"}},
            },
            {
                "data": {"values": runs},
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": {
                        "field": "outcome",
                        "type": "nominal",
                        "title": None,
                        "scale": {"domain": outcomes, "range": [_COLOURS[name] for name in outcomes]},
                        "legend": {"orient": "top"},
                    },
                    "tooltip": [{"field": "text", "type": "nominal", "title": "limit"}],
                },
            },
        ],
    }
