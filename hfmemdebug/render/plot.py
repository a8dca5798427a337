"""Charts as Vega-Lite specifications: plain dictionaries, which a browser or vl-convert draws.

An arm's memory is shown by its parts, stacked over the slices.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import ArmSample, ProcessSample, Sample
from hfmemdebug.render.chart import arm_name, thin, work_words
from hfmemdebug.render.text import one_line
from hfmemdebug.units import format_bytes, format_seconds

Spec = dict[str, Any]

_MB = 1 << 20
# From the bottom of the stack to its top, with colours that people tell apart who cannot tell red from
# green, on white and on black.
_PARTS = {
    "anon": ("anonymous: stays until the program frees it", "#e66100"),
    "shmem": ("shared memory: stays as well", "#a855f7"),
    "file": ("mapped file pages: the kernel can take them back", "#3b82f6"),
    "rss": ("RSS (its parts cannot be read here)", "#64748b"),
}
_SHOWN = ("rss", "file", "anon", "shmem", "swap", "arrow", "malloc", "blocks")
_IN_HOVER = {
    "rss": "RSS",
    "file": "mapped file pages",
    "anon": "anonymous",
    "shmem": "shared",
    "swap": "swap",
    "arrow": "in use: Arrow",
    "malloc": "in use: malloc",
}
_MOST_LABELLED_EPOCHS = 12
_MOST_PROCESSES = 12
_FIT_COLOURS = {"completed": "#3b82f6", "killed": "#b91c1c", "too slow": "#a16207", "failed": "#64748b"}
SECONDS = "seconds"
SLICE_AXIS = {"grid": False, "tickMinStep": 1, "tickCount": 6, "labelOverlap": True, "format": ",d"}
SECONDS_AXIS = {"grid": False, "tickCount": 6, "labelOverlap": True}


def arm_chart(
    recording: Recording,
    *,
    top: float,
    most: int,
    parts: Sequence[str] | None = None,
    epochs: int | None = None,
    subtitle: str = "",
    hover: bool = True,
) -> Spec | None:
    """The parts of one arm's RSS, stacked over its slices, with warm-up and epochs marked.

    Args:
        recording: The arm. One that was watched from outside is drawn over the seconds.
        top: The upper end of the axis in MB, the same for all arms of a run.
        most: Points at most.
        parts: What has a colour, where several charts share the colours; see `parts_of`.
        epochs: Only so many epochs from the first one on.
        subtitle: A line below the arm's name.
        hover: Show a slice's figures where somebody points at it.

    Returns:
        A view without a size; None where the recording has fewer than two slices with an RSS.
    """
    looks = [tree for tree in recording.trees if tree.rss is not None]
    slices = [s for s in recording.slices if s.rss is not None and (epochs is None or s.epoch <= epochs)]
    if max(len(looks), len(slices)) < 2:
        return None
    title = {"text": arm_title(recording), "subtitle": subtitle, "anchor": "start", "offset": 18}
    if recording.watched:
        # A program that was looked at from outside has no epochs that we know of.
        return _stack(looks, _seconds(looks), SECONDS, title, top=top, most=most, parts=parts, hover=hover)
    numbers = [float(number) for number in range(1, len(slices) + 1)]
    chart = _stack(
        slices, numbers, work_words(recording), title, top=top, most=most, parts=parts, hover=hover
    )
    chart["layer"] = [*_phases(slices), *chart["layer"]]
    return chart


def process_charts(recording: Recording, *, most: int) -> list[Spec]:
    """The same for each process of a program that was watched, the largest, in the order in which they began.

    All have one scale and one axis of time; what a fork shares with its parent is drawn in both.
    """
    by_process: dict[int, list[ProcessSample]] = {}
    for sample in (process for tree in recording.trees for process in tree.processes):
        if sample.rss is not None:
            by_process.setdefault(sample.pid, []).append(sample)
    drawn = [samples for samples in by_process.values() if len(samples) > 1]
    if len(by_process) < 2 or not drawn:
        # Of a single process the chart of all of it says the same.
        return []
    largest = sorted(drawn, key=lambda samples: -_peak(samples, "rss"))[:_MOST_PROCESSES]
    top = max(1.0, max(max(s.rss or 0, sum(_parts(s))) for samples in largest for s in samples) / _MB * 1.05)
    end = max(s.seconds for samples in largest for s in samples)
    charts = []
    for samples in sorted(largest, key=lambda samples: samples[0].seconds):
        name = f"{one_line(str(samples[-1].role or 'process'), 30)} (PID {samples[-1].pid})"
        grown = {
            said: _last(samples, part) - _first(samples, part)
            for part, said in (("file", "mapped pages"), ("anon", "anonymous"))
        }
        subtitle = "over its life: " + ", ".join(
            f"{said} {format_bytes(g, signed=True)}" for said, g in grown.items()
        )
        title = {"text": name, "subtitle": subtitle, "anchor": "start", "offset": 18}
        charts.append(
            _stack(samples, _seconds(samples), SECONDS, title, top=top, most=most, domain=(0.0, end))
        )
    return charts


def _stack(
    samples: Sequence[Sample],
    places: Sequence[float],
    axis: str,
    title: Spec,
    *,
    top: float,
    most: int,
    parts: Sequence[str] | None = None,
    hover: bool = True,
    domain: tuple[float, float] | None = None,
) -> Spec:
    """What of RSS is what, stacked over places on the axis; the domain is theirs where none is given."""
    parts = list(parts or _parts_in(samples))
    points = thin([_point(place, sample) for place, sample in zip(places, samples, strict=True)], most)
    points = _strips(points) if hover else points
    labels = {name: _PARTS[name][0] for name in parts}
    return {
        "title": title,
        "data": {"values": points},
        "encoding": {
            "x": {
                "field": "i",
                "type": "quantitative",
                "title": axis,
                "scale": {"domain": list(domain or (places[0], places[-1])), "nice": False},
                "axis": SECONDS_AXIS if axis == SECONDS else SLICE_AXIS,
            }
        },
        "layer": [
            {
                "transform": [
                    {"fold": parts, "as": ["part", "bytes"]},
                    {"calculate": f"datum.bytes / {_MB}", "as": "mb"},
                    {"calculate": f"indexof({parts!r}, datum.part)", "as": "place"},
                    {"calculate": f"({labels!r})[datum.part]", "as": "what"},
                ],
                "mark": {"type": "area", "opacity": 0.85},
                "encoding": {
                    "y": {
                        "field": "mb",
                        "type": "quantitative",
                        "title": "RSS, MB",
                        "stack": "zero",
                        "scale": {"domain": [0, top], "nice": False},
                    },
                    "order": {"field": "place", "type": "quantitative"},
                    "color": {
                        "field": "what",
                        "type": "nominal",
                        "title": None,
                        "scale": {"domain": list(labels.values()), "range": [_PARTS[p][1] for p in parts]},
                        "legend": {
                            "orient": "top",
                            "direction": "vertical",
                            "labelLimit": 0,
                            "symbolType": "square",
                        },
                    },
                },
            },
            *([_hover(points, axis)] if hover else []),
        ],
    }


def parts_of(recordings: Sequence[Recording]) -> list[str]:
    """The parts of RSS that there is something of in any of the arms, from the bottom up."""
    return _parts_in([sample for recording in recordings for sample in recording.points])


def _parts_in(samples: Sequence[Sample]) -> list[str]:
    parts = [name for name in ("anon", "shmem", "file") if any(getattr(s, name) is not None for s in samples)]
    return [p for p in parts if p != "shmem" or _peak(samples, "shmem") >= _MB] if parts else ["rss"]


def _seconds(samples: Sequence[Sample]) -> list[float]:
    return [round(sample.seconds, 2) for sample in samples]


def _first(samples: Sequence[Sample], field: str) -> int:
    return next((value for s in samples if (value := getattr(s, field)) is not None), 0)


def _last(samples: Sequence[Sample], field: str) -> int:
    return _first(samples[::-1], field)


def top_of(recordings: Sequence[Recording]) -> float:
    """The upper end in MB of the axis that all arms share: a little above the highest RSS."""
    # Beside each other's moments: of several processes, parts and sum are not read at the same time.
    highest = max((max(s.rss or 0, sum(_parts(s))) for r in recordings for s in r.points), default=0)
    return max(1.0, highest / _MB * 1.05)


def _parts(sample: Sample) -> tuple[int, int, int]:
    return sample.anon or 0, sample.shmem or 0, sample.file or 0


def arm_title(recording: Recording) -> str:
    """The arm's name, with its outcome where it did not complete."""
    outcome = recording.end.outcome
    return arm_name(recording) if outcome == "completed" else f"{arm_name(recording)} ({outcome})"


def _peak(samples: Sequence[Sample], field: str) -> int:
    return max((value for s in samples if (value := getattr(s, field)) is not None), default=0)


def _point(place: float, sample: Sample) -> Spec:
    figures = {name: value for name in _SHOWN if (value := getattr(sample, name, None)) is not None}
    if isinstance(sample, ArmSample):
        return {"i": place, "epoch": sample.epoch, "slice": sample.slice, "warmup": sample.warmup, **figures}
    return {"i": place, **figures}


def _phases(slices: Sequence[ArmSample]) -> list[Spec]:
    """The warm-up as a grey field, and a line with a name at the beginning of each epoch."""
    starts = [i for i, s in enumerate(slices, start=1) if i == 1 or s.epoch != slices[i - 2].epoch]
    warm = sum(s.warmup for s in slices)
    layers: list[Spec] = []
    if warm:
        layers.append(
            {
                "data": {"values": [{"from": 1, "to": warm + 1}]},
                "mark": {"type": "rect", "color": "#94a3b8", "opacity": 0.35},
                "encoding": {"x": {"field": "from", "type": "quantitative"}, "x2": {"field": "to"}},
            }
        )
    named = len(starts) <= _MOST_LABELLED_EPOCHS
    first = " (grey: warm-up)" if warm else ""
    marks = [
        {
            "i": i,
            "text": (f"epoch {slices[i - 1].epoch}" if len(starts) <= 5 else str(slices[i - 1].epoch))
            + (first if i == 1 and len(starts) <= 3 else ""),
        }
        for i in starts
    ]
    layers.append(
        {
            "data": {"values": marks},
            "mark": {"type": "rule", "strokeDash": [3, 3], "opacity": 0.5 if named else 0.2},
        }
    )
    if named:
        layers.append(
            {
                "data": {"values": marks},
                "mark": {"type": "text", "align": "left", "baseline": "bottom", "dy": -3, "fontSize": 10},
                "encoding": {"y": {"value": 0}, "text": {"field": "text"}},
            }
        )
    return layers


def _strips(points: Sequence[Spec]) -> list[Spec]:
    """Each point with the ends of its strip, half way to its neighbours."""
    places = [point["i"] for point in points]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(places)]
    return [
        {**point, "from": begin, "to": end}
        for point, begin, end in zip(points, [places[0], *middles], [*middles, places[-1]], strict=True)
    ]


def _hover(points: Sequence[Spec], axis: str) -> Spec:
    """A strip for each point, seen where somebody points at it, with its figures as a tooltip."""
    unit = axis.split(",")[0]
    where = (
        [{"field": "i", "type": "quantitative", "title": axis}]
        if axis == SECONDS
        else [{"field": "epoch", "type": "nominal"}, {"field": "slice", "type": "nominal", "title": unit}]
    )
    present = {name: title for name, title in _IN_HOVER.items() if any(name in point for point in points)}
    return {
        "transform": [
            {"calculate": f"format(datum.{name} / {_MB}, ',.1f') + ' MB'", "as": f"{name}_text"}
            for name in present
        ],
        "params": [
            {"name": "hover", "select": {"type": "point", "on": "pointerover", "clear": "pointerout"}}
        ],
        "mark": {"type": "rect", "color": "#64748b"},
        "encoding": {
            "opacity": {"condition": {"param": "hover", "empty": False, "value": 0.5}, "value": 0},
            "x": {"field": "from", "type": "quantitative"},
            "x2": {"field": "to"},
            "y": {"value": 0},
            "y2": {"value": "height"},
            "tooltip": [
                *where,
                *(
                    {"field": f"{name}_text", "type": "nominal", "title": title}
                    for name, title in present.items()
                ),
            ],
        },
    }


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
    outcomes = [name for name in _FIT_COLOURS if any(run["outcome"] == name for run in runs)]
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
                "mark": {"type": "line", "color": _FIT_COLOURS["completed"], "opacity": 0.5},
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
                        "scale": {"domain": outcomes, "range": [_FIT_COLOURS[name] for name in outcomes]},
                        "legend": {"orient": "top"},
                    },
                    "tooltip": [{"field": "text", "type": "nominal", "title": "limit"}],
                },
            },
        ],
    }
