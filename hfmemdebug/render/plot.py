"""The memory of arms and processes by its parts, stacked over the slices or the seconds; and the runs of `fit`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.quantities import QUANTITIES, SHOWN
from hfmemdebug.recording.sample import ArmSample, ProcessSample, Sample
from hfmemdebug.render.chart import arm_name, thin, work_words
from hfmemdebug.render.text import one_line
from hfmemdebug.render.vega import MB, SECONDS, Spec, colours, heading, layer, nominal, quantity, work_axis
from hfmemdebug.units import format_bytes, format_seconds

# From the bottom of the stack to its top, with colours that people tell apart who cannot tell red from
# green, on white and on black.
_PARTS = {
    "anon": ("anonymous: stays until the program frees it", "#e66100"),
    "shmem": ("shared memory: stays as well", "#a855f7"),
    "file": ("mapped file pages: the kernel can take them back", "#3b82f6"),
    "rss": ("RSS (its parts cannot be read here)", "#64748b"),
}
_MOST_LABELLED_EPOCHS = 12
_MOST_PROCESSES = 12
_FIT_COLOURS = {"completed": "#3b82f6", "killed": "#b91c1c", "too slow": "#a16207", "failed": "#64748b"}


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
    """Draws the parts of one arm's RSS, stacked over its slices, with warm-up and epochs marked.

    Args:
        recording: The arm. One that was watched from outside is drawn over the seconds.
        top: The upper end of the axis in MB, the same for all arms of a run.
        most: Points at most.
        parts: The parts that have a colour, where several charts share the colours; see `parts_of`.
        epochs: Only so many epochs from the first one on.
        subtitle: A line below the arm's name.
        hover: Show a slice's figures under the pointer.

    Returns:
        A view without a size; None where the recording has fewer than two slices with an RSS.
    """
    trees = [tree for tree in recording.trees if tree.rss is not None]
    slices = [s for s in recording.slices if s.rss is not None and (epochs is None or s.epoch <= epochs)]
    if max(len(trees), len(slices)) < 2:
        return None
    if recording.watched:
        # A program that was watched from outside has no epochs that we know of.
        chart = _stack(trees, _seconds(trees), SECONDS, top=top, most=most, parts=parts, hover=hover)
    else:
        places = [float(number) for number in range(1, len(slices) + 1)]
        chart = _stack(slices, places, work_words(recording), top=top, most=most, parts=parts, hover=hover)
        chart["layer"] = [*_phases(slices), *chart["layer"]]
    outcome = recording.end.outcome
    name = arm_name(recording) if outcome == "completed" else f"{arm_name(recording)} ({outcome})"
    return {**chart, "title": heading(name, subtitle, offset=18)}


def process_charts(recording: Recording, *, most: int) -> list[Spec]:
    """Draws the same for each process of a program that was watched, the largest, in the order in which they began.

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
    top = _top([sample for samples in largest for sample in samples])
    end = max(s.seconds for samples in largest for s in samples)
    charts = []
    for samples in sorted(largest, key=lambda samples: samples[0].seconds):
        chart = _stack(samples, _seconds(samples), SECONDS, top=top, most=most, domain=(0.0, end))
        name = f"{one_line(str(samples[-1].role or 'process'), 30)} (PID {samples[-1].pid})"
        grown = (
            f"{said} {format_bytes(_first(samples[::-1], part) - _first(samples, part), signed=True)}"
            for part, said in (("file", "mapped pages"), ("anon", "anonymous"))
        )
        charts.append({**chart, "title": heading(name, f"over its life: {', '.join(grown)}", offset=18)})
    return charts


def _stack(
    samples: Sequence[Sample],
    places: Sequence[float],
    axis: str,
    *,
    top: float,
    most: int,
    parts: Sequence[str] | None = None,
    hover: bool = True,
    domain: tuple[float, float] | None = None,
) -> Spec:
    """Stacks the parts of RSS over places on the axis; the domain is theirs where none is given."""
    parts = list(parts or _parts_in(samples))
    points = thin([_point(place, sample) for place, sample in zip(places, samples, strict=True)], most)
    points = _strips(points) if hover else points
    labels = {name: _PARTS[name][0] for name in parts}
    encoding = {
        "y": quantity("mb", "RSS, MB", stack="zero", scale={"domain": [0, top], "nice": False}),
        "order": quantity("place"),
        "color": colours(
            "what",
            dict(_PARTS[name] for name in parts),
            {"direction": "vertical", "labelLimit": 0, "symbolType": "square"},
        ),
    }
    transform = [
        {"fold": parts, "as": ["part", "bytes"]},
        {"calculate": f"datum.bytes / {MB}", "as": "mb"},
        {"calculate": f"indexof({parts!r}, datum.part)", "as": "place"},
        {"calculate": f"({labels!r})[datum.part]", "as": "what"},
    ]
    return {
        "data": {"values": points},
        "encoding": {"x": work_axis(axis, domain or (places[0], places[-1]))},
        "layer": [
            {"transform": transform, **layer("area", encoding, opacity=0.85)},
            *([_hover(points, axis)] if hover else []),
        ],
    }


def parts_of(recordings: Sequence[Recording]) -> list[str]:
    """Returns the parts of RSS that there is something of in any of the arms, from the bottom up."""
    return _parts_in([sample for recording in recordings for sample in recording.points])


def _parts_in(samples: Sequence[Sample]) -> list[str]:
    parts = [name for name in ("anon", "shmem", "file") if any(getattr(s, name) is not None for s in samples)]
    return [p for p in parts if p != "shmem" or _peak(samples, "shmem") >= MB] if parts else ["rss"]


def _seconds(samples: Sequence[Sample]) -> list[float]:
    return [round(sample.seconds, 2) for sample in samples]


def _first(samples: Sequence[Sample], field: str) -> int:
    return next((value for s in samples if (value := getattr(s, field)) is not None), 0)


def _peak(samples: Sequence[Sample], field: str) -> int:
    return max((value for s in samples if (value := getattr(s, field)) is not None), default=0)


def top_of(recordings: Sequence[Recording]) -> float:
    """Returns the upper end in MB of the axis that all arms share: a little above the highest RSS."""
    return _top([sample for recording in recordings for sample in recording.points])


def _top(samples: Sequence[Sample]) -> float:
    # Of several processes, parts and sum are not read at the same time.
    highest = max(
        (max(s.rss or 0, (s.anon or 0) + (s.shmem or 0) + (s.file or 0)) for s in samples), default=0
    )
    return max(1.0, highest / MB * 1.05)


def _point(place: float, sample: Sample) -> Spec:
    figures = {name: value for name in SHOWN if (value := getattr(sample, name, None)) is not None}
    if isinstance(sample, ArmSample):
        figures |= {"epoch": sample.epoch, "slice": sample.slice, "warmup": sample.warmup}
    return {"i": place, **figures}


def _phases(slices: Sequence[ArmSample]) -> list[Spec]:
    """Draws the warm-up as a grey field, and a line with a name at the beginning of each epoch."""
    starts = [i for i, s in enumerate(slices, start=1) if i == 1 or s.epoch != slices[i - 2].epoch]
    warm = sum(s.warmup for s in slices)
    layers: list[Spec] = []
    if warm:
        field = {"x": quantity("from"), "x2": {"field": "to"}}
        layers.append(layer("rect", field, [{"from": 1, "to": warm + 1}], color="#94a3b8", opacity=0.35))
    named = len(starts) <= _MOST_LABELLED_EPOCHS
    marks = [{"i": i, "text": f"{'epoch ' * (len(starts) <= 5)}{slices[i - 1].epoch}"} for i in starts]
    if warm and len(starts) <= 3:
        marks[0]["text"] = f"{marks[0]['text']} (grey: warm-up)"
    layers.append(layer("rule", {}, marks, strokeDash=[3, 3], opacity=0.5 if named else 0.2))
    if named:
        names = {"y": {"value": 0}, "text": {"field": "text"}}
        layers.append(layer("text", names, marks, align="left", baseline="bottom", dy=-3, fontSize=10))
    return layers


def _strips(points: Sequence[Spec]) -> list[Spec]:
    """Returns each point with the ends of its strip, half way to its neighbours."""
    places = [point["i"] for point in points]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(places)]
    return [
        {**point, "from": begin, "to": end}
        for point, begin, end in zip(points, [places[0], *middles], [*middles, places[-1]], strict=True)
    ]


def _hover(points: Sequence[Spec], axis: str) -> Spec:
    """Draws a strip for each point, seen under the pointer, with its figures as a tooltip."""
    where = [nominal("epoch"), nominal("slice", axis.split(",")[0])]
    present = {name: QUANTITIES[name].label for name in SHOWN if any(name in point for point in points)}
    encoding = {
        "opacity": {"condition": {"param": "hover", "empty": False, "value": 0.5}, "value": 0},
        "x": quantity("from"),
        "x2": {"field": "to"},
        "y": {"value": 0},
        "y2": {"value": "height"},
        "tooltip": [
            *([quantity("i", axis)] if axis == SECONDS else where),
            *(nominal(f"{name}_text", title) for name, title in present.items()),
        ],
    }
    return {
        "transform": [
            {"calculate": f"format(datum.{name} / {MB}, ',.1f') + ' MB'", "as": f"{name}_text"}
            for name in present
        ],
        "params": [
            {"name": "hover", "select": {"type": "point", "on": "pointerover", "clear": "pointerout"}}
        ],
        **layer("rect", encoding, color="#64748b"),
    }


def fit_curve(fit: Mapping[str, Any]) -> Spec | None:
    """Draws every run under a limit, the line of those that finished, and the time without a limit.

    Args:
        fit: The ``fit`` of the result document.

    Returns:
        A view without a size; None where nothing was run under a limit.
    """
    runs = [
        {
            "mb": trial["bytes"] / MB,
            "seconds": trial["seconds"],
            "outcome": trial["outcome"],
            "text": f"{format_bytes(trial['bytes'])}: {trial['outcome']} after {format_seconds(trial['seconds'])}",
        }
        for trial in fit["tried"]
    ]
    if not runs:
        return None
    free = fit["free"]["seconds"]
    x = quantity("mb", "limit, MB", scale={"type": "log", "nice": False})
    y = quantity("seconds", "seconds", scale={"zero": True})
    colour_of = {name: c for name, c in _FIT_COLOURS.items() if any(run["outcome"] == name for run in runs)}
    points = {
        "x": x,
        "y": y,
        "color": colours("outcome", colour_of, {}),
        "tooltip": [nominal("text", "limit")],
    }
    completed = [run for run in runs if run["outcome"] == "completed"]
    return {
        "title": heading(
            "Wall time under each limit", f"dashed: without a limit, {format_seconds(free)}", offset=18
        ),
        "layer": [
            layer(
                "rule", {"y": quantity("seconds")}, [{"seconds": free}], strokeDash=[4, 4], color="#64748b"
            ),
            *_fit_marks(fit),
            # Where a limit was tried more than once, the line goes through the mean.
            layer(
                "line",
                {"x": x, "y": {**y, "aggregate": "mean"}},
                completed,
                color=_FIT_COLOURS["completed"],
                opacity=0.5,
            ),
            layer("point", points, runs, filled=True, size=70, opacity=1),
        ],
    }


def _fit_marks(fit: Mapping[str, Any]) -> list[Spec]:
    """Draws a line at what was found, named on the side where there is room."""
    found = (("smallest_bytes", "needs", "left", 4), ("knee_bytes", "slower below", "right", -4))
    layers = []
    for key, what, align, dx in found:
        if fit.get(key):
            mark = [{"mb": fit[key] / MB, "text": f"{what} {format_bytes(fit[key])}"}]
            text = {"x": quantity("mb"), "y": {"value": 0}, "text": {"field": "text"}}
            layers.append(layer("rule", {"x": quantity("mb")}, mark, color="#94a3b8"))
            layers.append(layer("text", text, mark, align=align, dx=dx, dy=6, fontSize=11))
    return layers
