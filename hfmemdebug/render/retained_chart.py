"""Retained memory: a chart of its own, since a leak of kilobytes does not show beside pages of megabytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import ArmSample
from hfmemdebug.render import words
from hfmemdebug.render.chart import arm_name, mermaid, thin
from hfmemdebug.render.vega import (
    MB,
    SECONDS,
    Spec,
    colours,
    heading,
    layer,
    nominal,
    quantity,
    work_axis,
)
from hfmemdebug.result import Result
from hfmemdebug.units import format_bytes

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
_MOST_DOTS = 60
_COUNTED = ("file_maps", "fds")
_AT_ENDS = "at the ends of epochs, beyond what was there after the first one"
_SINCE_FIRST = "at each sample, beyond what was there at the first; starting up is not judged"
_SINCE_WARMUP = "after each reading, beyond what was there after the warm-up"


def retained_chart(result: Result, recordings: Sequence[Recording]) -> Spec | None:
    """Draws what is in use at the ends of epochs, above what was after the first one: a leak is a ramp.

    Without a leak, the ramp of the smallest leak that the run could have seen stands beside the flat lines.

    Returns:
        A view without a size; None where no arm has two points.
    """
    leak, unit = result.verdict == "leak", words.unit(result)
    counted = _FIELDS_OF_CAUSE.get(result.cause or "", _IN_USE) if leak else _IN_USE
    fields, lines = _lines(recordings, counted)
    if not lines:
        return None
    # The longest line first, so that a shorter one that coincides with it is seen.
    points: list[Spec] = [
        {"arm": arm, "i": number, "value": value}
        for arm, line in sorted(lines.items(), key=lambda item: -item[1][-1][0])
        for number, value in line
    ]
    reference = _smallest_leak(result, lines) if fields == _IN_USE else []
    things = fields == _COUNTED
    scale, of = (1.0, "more") if things else _unit(point["value"] for point in (*points, *reference))
    for point in (*points, *reference):
        point["y"] = round(point["value"] / scale, 4)
    watched = any(recording.watched for recording in recordings)
    axis = SECONDS if watched else f"{unit}s read" if unit == "slice" else f"{unit}s"
    few = max(map(len, lines.values())) <= _MOST_DOTS
    colour = {"color": _arm_colours(lines, recordings, leak=leak)}
    tooltip = [
        nominal("arm"),
        quantity("i", axis, format=",.6~g"),
        quantity("value", "things" if things else "bytes", format="+,d"),
    ]
    since = _AT_ENDS if fields == counted else _SINCE_FIRST if watched else _SINCE_WARMUP
    return {
        "title": heading(f"Retained: {_WORDS_OF_FIELDS[fields]}", since),
        "data": {"values": points},
        "encoding": {"x": work_axis(axis), "y": quantity("y", of, scale={"zero": True})},
        "layer": [
            layer("line", colour, strokeWidth=2.5, point=few and {"size": 28, "filled": True}),
            # Larger than the dots that are seen, so that they are easily hit.
            layer("point", {"tooltip": tooltip}, filled=True, size=250, opacity=0),
            *_rate_labels(result, points),
            *([_reference(reference, result)] if reference else []),
        ],
    }


def _lines(
    recordings: Sequence[Recording], fields: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, Sequence[tuple[float, int]]]]:
    """Returns what is drawn of each arm: the fields at the ends of epochs, else anonymous memory at each sample."""
    lines: dict[str, Sequence[tuple[float, int]]] = {
        arm_name(r): ends for r in recordings if len(ends := _retained(r, fields)) > 1
    }
    looked_at = {arm_name(r) for r in recordings if r.header.arm.consumer and len(r.points) > 1}
    if lines and not (looked_at and looked_at.isdisjoint(lines)):
        return fields, lines
    # No ends of epochs: a killed arm, or a loop that is not ours to settle.
    anonymous = ("anon", "swap")
    by_slice = ((r, _retained_by_slice(r, anonymous)) for r in recordings)
    return anonymous, {arm_name(r): line for r, line in by_slice if len(line) > 1}


def mermaid_ramp(result: Result, recordings: Sequence[Recording]) -> str | None:
    """Draws a leak's ramp beside its control, as a mermaid block with a line that names the two.

    Returns:
        None where there is no leak, or where its arm has fewer than two ends of epochs.
    """
    leak = next((f for f in result.findings if f.role == "leak"), None)
    guilty = next((r for r in recordings if leak is not None and arm_name(r) == leak.arm), None)
    if result.verdict != "leak" or leak is None or guilty is None:
        return None
    fields = _FIELDS_OF_CAUSE.get(leak.cause, _IN_USE)
    line = _retained(guilty, fields)
    if len(line) < 2:
        return None
    mode = guilty.header.arm.mode
    controls = (r for r in recordings if r.header.arm.mode == mode and not r.header.arm.consumer)
    control = [value for r in controls if r is not guilty for _, value in _retained(r, fields)]
    lines = [[value for _, value in line], *([control] if len(control) == len(line) else [])]
    scale, unit = (1.0, "things") if fields == _COUNTED else _unit(v for values in lines for v in values)
    shown = [[round(value / scale, 2) for value in values] for values in lines]
    low, high = min(min(values) for values in shown), max(max(values) for values in shown)
    rate = format_bytes(leak.rate_bytes_per_iteration, signed=True)
    beside = "; grey: the same rows without the code" if len(shown) > 1 else ""
    return mermaid(
        f"Retained at the ends of epochs: {rate} per {words.unit(result)}",
        f'"{words.unit(result)}s" {line[0][0]} --> {line[-1][0]}',
        (unit, min(low, 0.0), max(high * 1.05, 0.01)),
        shown,
        colours=("#dc2626", "#94a3b8"),
        below=f"Red: {_WORDS_OF_FIELDS[fields]} beyond what was there after the first epoch{beside}.",
    )


def _retained(recording: Recording, fields: Sequence[str]) -> list[tuple[int, int]]:
    """Returns slices read and the growth of the fields since the end of the first epoch, at each epoch's end."""
    line: list[tuple[int, int]] = []
    done = 0
    for sample in recording.samples:
        done += sample.kind == "slice"
        if sample.kind == "settle" and sample.step == "trim" and sample.epoch >= 1:
            known = [value for name in fields if (value := getattr(sample, name)) is not None]
            if known:
                line.append((done, sum(known)))
    return [(number, value - line[0][1]) for number, value in line]


def _retained_by_slice(recording: Recording, fields: Sequence[str]) -> list[tuple[float, int]]:
    line = [
        (s.seconds if recording.watched else number, sum(getattr(s, name) or 0 for name in fields))
        for number, s in enumerate(recording.points, start=1)
        if not (isinstance(s, ArmSample) and s.warmup) and getattr(s, fields[0]) is not None
    ]
    return thin([(number, value - line[0][1]) for number, value in line], 200)


def _unit(values: Iterable[float]) -> tuple[float, str]:
    largest = max((abs(value) for value in values), default=0)
    for size, name in ((1 << 30, "GB"), (MB, "MB"), (1 << 10, "KB")):
        if largest >= size:
            return float(size), name
    return 1.0, "bytes"


def _arm_colours(lines: dict[str, Any], recordings: Sequence[Recording], *, leak: bool) -> Spec:
    """Returns colours by arm: those with the user's code stand out, their controls are grey."""
    bright = _LEAK_COLOURS if leak else _LINE_COLOURS
    with_consumer = {arm_name(r) for r in recordings if r.header.arm.consumer}
    subjects = [arm for arm in lines if arm in with_consumer] or list(lines)
    controls = [arm for arm in lines if arm not in subjects]
    colour_of = {
        arm: palette[place % len(palette)]
        for arms, palette in ((subjects, bright), (controls, _CONTROL_COLOURS))
        for place, arm in enumerate(arms)
    }
    return colours("arm", colour_of, {"columns": 2, "labelLimit": 0, "symbolType": "stroke"})


def _rate_labels(result: Result, points: Sequence[Spec]) -> list[Spec]:
    """Draws the rate of each leak beside the end of its ramp."""
    labels = []
    labelled: set[str | None] = set()
    # What is drawn is one owner's: others' rates do not belong to its line.
    for finding in sorted(result.findings, key=lambda finding: finding.cause != result.cause):
        last = next((point for point in reversed(points) if point["arm"] == finding.arm), None)
        if finding.role != "leak" or finding.arm in labelled:
            continue
        if finding.rate_bytes_per_iteration and last is not None:
            labelled.add(finding.arm)
            rate = format_bytes(finding.rate_bytes_per_iteration, signed=True)
            labels.append({**last, "text": f"{rate} per {words.unit(result)}"})
    end = max((point["i"] for point in points), default=0)
    # Beside its point, on the side where there is room.
    right, left = [p for p in labels if 2 * p["i"] > end], [p for p in labels if 2 * p["i"] <= end]
    text, look = {"text": {"field": "text"}}, {"baseline": "bottom", "fontWeight": "bold", "fontSize": 13}
    return [
        *([layer("text", text, right, align="right", dx=-8, dy=0, **look)] if right else []),
        *([layer("text", text, left, align="left", dx=8, dy=12, **look)] if left else []),
    ]


def _smallest_leak(result: Result, lines: Mapping[str, Sequence[tuple[float, int]]]) -> list[Spec]:
    """Returns, from the end of the first epoch on, what the smallest leak that could be seen would have kept."""
    rate = result.smallest_detectable_bytes_per_iteration
    if result.verdict == "leak" or not rate:
        return []
    longest = max(lines.values(), key=lambda line: line[-1][0])
    begin, end = longest[0][0], longest[-1][0]
    return [{"i": begin, "value": 0.0}, {"i": end, "value": rate * (end - begin)}]


def _reference(ramp: list[Spec], result: Result) -> Spec:
    rate = format_bytes(result.smallest_detectable_bytes_per_iteration)
    ramp[-1]["text"] = f"what a leak of {rate} per {words.unit(result)} would look like"
    named = layer("text", {"text": {"field": "text"}}, align="right", dx=-80, dy=0, color="#dc2626")
    return {
        "data": {"values": ramp},
        "layer": [
            layer("line", {}, strokeDash=[4, 4], color="#dc2626", opacity=0.6),
            {"transform": [{"filter": "datum.text"}], **named},
        ],
    }
