"""Charts as Vega-Lite specifications: plain dictionaries, which a browser or vl-convert draws.

An arm's memory is shown by its parts, stacked over the slices; what stays in use has a chart of its own,
since a leak of kilobytes does not show beside pages of hundreds of megabytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import Sample
from hfmemdebug.render import words
from hfmemdebug.render.chart import thin, work_words
from hfmemdebug.result import Result
from hfmemdebug.sizes import format_bytes

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
# The arms that are looked at stand out from their controls; red is a leak's.
_LEAK_COLOURS = ("#dc2626", "#d97706", "#be185d", "#7c3aed")
_LINE_COLOURS = ("#0d9488", "#2563eb", "#7c3aed", "#be185d")
_CONTROL_COLOURS = ("#64748b", "#94a3b8", "#475569", "#cbd5e1")
# What is in use by exact count; where the cause is another owner's, its own fields.
_IN_USE = ("python", "malloc", "arrow")
_FIELDS_OF_CAUSE = {
    "arrow-pool": ("arrow",),
    "shared-memory": ("shmem",),
    "file-mapping": ("file_maps", "fds"),
    "anonymous-other": ("anon", "swap", "children_anon"),
}
_WORDS_OF_FIELDS = {
    _IN_USE: "Python objects, malloc and Arrow",
    ("arrow",): "Arrow buffers",
    ("shmem",): "shared memory",
    ("file_maps", "fds"): "file mappings and descriptors",
    ("anon", "swap", "children_anon"): "anonymous memory, child processes' too",
    ("anon", "swap"): "anonymous memory",
}
_COUNTED = ("file_maps", "fds")
_MOST_LABELLED_EPOCHS = 12
_SLICE_AXIS = {"grid": False, "tickMinStep": 1, "tickCount": 6, "labelOverlap": True, "format": ",d"}


def arm_chart(
    recording: Recording,
    *,
    top: float,
    most: int,
    epochs: int | None = None,
    subtitle: str = "",
    hover: bool = True,
) -> Spec | None:
    """The parts of one arm's RSS, stacked over its slices, with warm-up and epochs marked.

    Args:
        recording: The arm.
        top: The upper end of the axis in MB, the same for all arms of a run.
        most: Points at most.
        epochs: Only so many epochs from the first one on.
        subtitle: A line below the arm's name.
        hover: Show a slice's figures where somebody points at it.

    Returns:
        A view without a size; None where the recording has fewer than two slices with an RSS.
    """
    slices = [s for s in recording.slices if s.rss is not None and (epochs is None or s.epoch <= epochs)]
    if len(slices) < 2:
        return None
    parts = [name for name in ("anon", "shmem", "file") if any(getattr(s, name) is not None for s in slices)]
    parts = [p for p in parts if p != "shmem" or _peak(slices, "shmem") >= _MB] if parts else ["rss"]
    points = thin([_point(number, sample) for number, sample in enumerate(slices, start=1)], most)
    labels = {name: _PARTS[name][0] for name in parts}
    return {
        "title": {"text": arm_title(recording), "subtitle": subtitle, "anchor": "start", "offset": 18},
        "data": {"values": points},
        "encoding": {
            "x": {
                "field": "i",
                "type": "quantitative",
                "title": work_words(recording),
                "scale": {"domain": [1, len(slices)], "nice": False},
                "axis": _SLICE_AXIS,
            }
        },
        "layer": [
            *_phases(slices),
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
            *([_hover(points, len(slices))] if hover else []),
        ],
    }


def top_of(recordings: Sequence[Recording]) -> float:
    """The upper end in MB of the axis that all arms share: a little above the highest RSS."""
    return max(1.0, max((_peak(r.slices, "rss") for r in recordings), default=0) / _MB * 1.05)


def kept_chart(result: Result, recordings: Sequence[Recording]) -> Spec | None:
    """What is in use at the ends of epochs, above what was after the first one: a leak is a ramp.

    Without a leak, the ramp of the smallest leak that the run could have seen stands beside the flat lines.

    Returns:
        A view without a size; None where no arm has two points.
    """
    counted = _FIELDS_OF_CAUSE.get(result.cause or "", _IN_USE) if result.verdict == "leak" else _IN_USE
    fields = counted
    lines = {_name(r): line for r in recordings if len(line := _kept(r, fields)) > 1}
    if not lines:
        # No ends of epochs: a killed arm, or a loop that is not ours to settle.
        fields = ("anon", "swap")
        lines = {_name(r): line for r in recordings if len(line := _kept_by_slice(r, fields)) > 1}
    if not lines:
        return None
    things = fields == _COUNTED
    points: list[Spec] = [
        {"arm": arm, "i": number, "value": value} for arm, line in lines.items() for number, value in line
    ]
    reference = _smallest_leak(result, lines) if fields == _IN_USE else []
    scale, unit = (1.0, "more") if things else _unit(point["value"] for point in (*points, *reference))
    for point in points:
        point["y"] = round(point["value"] / scale, 4)
    layers: list[Spec] = [
        {
            "mark": {"type": "line", "strokeWidth": 2.5, "point": {"size": 28, "filled": True}},
            "encoding": {"color": _arm_colours(lines, recordings, leak=result.verdict == "leak")},
        },
        {
            # Larger than the dots that are seen, so that they are easily hit.
            "mark": {"type": "point", "filled": True, "size": 250, "opacity": 0},
            "encoding": {
                "tooltip": [
                    {"field": "arm", "type": "nominal"},
                    {"field": "i", "type": "quantitative", "title": "slices read", "format": ",d"},
                    {
                        "field": "value",
                        "type": "quantitative",
                        "title": "things" if things else "bytes",
                        "format": "+,d",
                    },
                ]
            },
        },
        *_rate_labels(result, points),
    ]
    if reference:
        layers.append(_reference(reference, scale, result))
    return {
        "title": {
            "text": f"What stays: {_WORDS_OF_FIELDS[fields]}",
            "subtitle": "at the ends of epochs, beyond what was there after the first one"
            if fields == counted
            else "after each slice, beyond what was there after the warm-up",
            "anchor": "start",
        },
        "data": {"values": points},
        "encoding": {
            "x": {
                "field": "i",
                "type": "quantitative",
                "title": "slices read",
                "scale": {"nice": False},
                "axis": _SLICE_AXIS,
            },
            "y": {"field": "y", "type": "quantitative", "title": unit, "scale": {"zero": True}},
        },
        "layer": layers,
    }


def arm_title(recording: Recording) -> str:
    """The arm's name, with its outcome where it did not complete."""
    outcome = str((recording.end or {"outcome": "killed"}).get("outcome"))
    return _name(recording) if outcome == "completed" else f"{_name(recording)} ({outcome})"


def _name(recording: Recording) -> str:
    arm = recording.header.get("arm")
    return words.one_line(str((arm.get("name") if isinstance(arm, dict) else None) or "run"), 60)


def _peak(samples: Sequence[Sample], field: str) -> int:
    return max((value for s in samples if (value := getattr(s, field)) is not None), default=0)


def _point(number: int, sample: Sample) -> Spec:
    figures = {name: value for name in _SHOWN if (value := getattr(sample, name)) is not None}
    return {"i": number, "epoch": sample.epoch, "slice": sample.slice, "warmup": sample.warmup, **figures}


def _phases(slices: Sequence[Sample]) -> list[Spec]:
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


def _hover(points: Sequence[Spec], slices: int) -> Spec:
    """A strip for each point, seen where somebody points at it, with its figures as a tooltip."""
    present = {name: title for name, title in _IN_HOVER.items() if any(name in point for point in points)}
    half = slices / len(points) / 2
    return {
        "transform": [
            {"calculate": f"max(1, datum.i - {half})", "as": "from"},
            {"calculate": f"min({slices}, datum.i + {half})", "as": "to"},
            *(
                {"calculate": f"format(datum.{name} / {_MB}, ',.1f') + ' MB'", "as": f"{name}_text"}
                for name in present
            ),
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
                {"field": "epoch", "type": "nominal"},
                {"field": "slice", "type": "nominal"},
                *(
                    {"field": f"{name}_text", "type": "nominal", "title": title}
                    for name, title in present.items()
                ),
            ],
        },
    }


def _kept(recording: Recording, fields: Sequence[str]) -> list[tuple[int, int]]:
    """Slices read and the growth of the fields since the end of the first epoch, at each epoch's end."""
    line: list[tuple[int, int]] = []
    done = 0
    for sample in recording.samples:
        done += sample.kind == "slice"
        if sample.kind == "settle" and sample.step == "trim" and sample.epoch >= 1:
            known = [value for name in fields if (value := getattr(sample, name)) is not None]
            if known:
                line.append((done, sum(known)))
    return [(number, value - line[0][1]) for number, value in line]


def _kept_by_slice(recording: Recording, fields: Sequence[str]) -> list[tuple[int, int]]:
    line = [
        (number, sum(getattr(s, name) or 0 for name in fields))
        for number, s in enumerate(recording.slices, start=1)
        if not s.warmup and getattr(s, fields[0]) is not None
    ]
    return thin([(number, value - line[0][1]) for number, value in line], 200)


def _unit(values: Any) -> tuple[float, str]:
    largest = max((abs(value) for value in values), default=0)
    for size, name in ((1 << 30, "GB"), (_MB, "MB"), (1 << 10, "KB")):
        if largest >= size:
            return float(size), name
    return 1.0, "bytes"


def _arm_colours(lines: dict[str, Any], recordings: Sequence[Recording], *, leak: bool) -> Spec:
    """Colours by arm: those with the user's code stand out, their controls are grey."""
    bright = _LEAK_COLOURS if leak else _LINE_COLOURS
    with_consumer = {_name(r) for r in recordings if (r.header.get("arm") or {}).get("consumer")}
    subjects = [arm for arm in lines if arm in with_consumer] or list(lines)
    controls = [arm for arm in lines if arm not in subjects]
    colours = {
        arm: palette[place % len(palette)]
        for arms, palette in ((subjects, bright), (controls, _CONTROL_COLOURS))
        for place, arm in enumerate(arms)
    }
    return {
        "field": "arm",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(colours), "range": list(colours.values())},
        "legend": {"orient": "top", "columns": 2, "labelLimit": 0, "symbolType": "stroke"},
    }


def _rate_labels(result: Result, points: Sequence[Spec]) -> list[Spec]:
    """The rate of each leak beside the end of its ramp."""
    labels = []
    for finding in result.findings:
        last = next((point for point in reversed(points) if point["arm"] == finding.arm), None)
        if finding.role == "leak" and finding.rate_bytes_per_iteration and last is not None:
            rate = format_bytes(finding.rate_bytes_per_iteration, signed=True)
            labels.append({**last, "text": f"{rate} per {words.unit(result)}"})
    end = max((point["i"] for point in points), default=0)
    # Beside its point, on the side where there is room.
    sides = {
        "right": [p for p in labels if 2 * p["i"] > end],
        "left": [p for p in labels if 2 * p["i"] <= end],
    }
    return [
        {
            "data": {"values": some},
            "mark": {
                "type": "text",
                "align": align,
                "baseline": "bottom",
                "dx": -8 if align == "right" else 8,
                "dy": 0 if align == "right" else 12,
                "fontWeight": "bold",
                "fontSize": 13,
            },
            "encoding": {"text": {"field": "text"}},
        }
        for align, some in sides.items()
        if some
    ]


def _smallest_leak(result: Result, lines: dict[str, list[tuple[int, int]]]) -> list[Spec]:
    """From the end of the first epoch on, what the smallest leak that could be seen would have kept."""
    rate = result.smallest_detectable_bytes_per_iteration
    if result.verdict == "leak" or not rate:
        return []
    longest = max(lines.values(), key=lambda line: line[-1][0])
    begin, end = longest[0][0], longest[-1][0]
    return [{"i": begin, "value": 0.0}, {"i": end, "value": rate * (end - begin)}]


def _reference(ramp: list[Spec], scale: float, result: Result) -> Spec:
    rate = format_bytes(result.smallest_detectable_bytes_per_iteration)
    for point in ramp:
        point["y"] = round(point["value"] / scale, 4)
    ramp[-1]["text"] = f"what a leak of {rate} per {words.unit(result)} would look like"
    return {
        "data": {"values": ramp},
        "layer": [
            {"mark": {"type": "line", "strokeDash": [4, 4], "color": "#dc2626", "opacity": 0.6}},
            {
                "transform": [{"filter": "datum.text"}],
                "mark": {"type": "text", "align": "right", "dx": -40, "dy": 4, "color": "#dc2626"},
                "encoding": {"text": {"field": "text"}},
            },
        ],
    }
