"""A chart for a terminal or a CI log: each part of the memory as a row of bars, which needs no colour."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hfmemdebug.recording.file import Recording
from hfmemdebug.render.chart import thin, work_unit
from hfmemdebug.render.plot import arm_name
from hfmemdebug.units import format_bytes

_BARS = " ▁▂▃▄▅▆▇█"
_ASCII_BARS = " .:-=+*#@"
_LABELS = {"file": "mapped pages", "anon": "anonymous", "shmem": "shared"}
_MOST_ARMS = 2
_MB = 1 << 20


def spark_lines(
    recordings: Sequence[Recording], *, width: int, unicode: bool = True, leaking: Collection[str] = ()
) -> list[str]:
    """Mapped pages and anonymous memory over the slices, of the first arm of each mode, or of one that leaks.

    All rows of all arms have one scale, from nothing to the highest, so that what is flat looks flat.

    Args:
        recordings: The arms in the order in which they are shown.
        width: Columns at most.
        unicode: Whether characters beyond ASCII may be used.
        leaking: Names of the arms that leak.
    """
    first = sorted(recordings, key=lambda recording: recording.header.arm.name not in leaking)
    one_a_mode = {r.header.arm.mode: r for r in reversed(first)}.values()
    drawn = [
        (recording, rows)
        for recording in reversed(one_a_mode)
        if (rows := {name: row for name in _LABELS if len(row := _values(recording, name)) > 1})
    ][:_MOST_ARMS]
    top = max((max(row) for _, rows in drawn for row in rows.values()), default=0)
    if top == 0:
        return []
    bars = _BARS if unicode else _ASCII_BARS
    lines: list[str] = []
    for recording, rows in drawn:
        unit = work_unit(recording)
        lines.append(f"{arm_name(recording)}, over its {len(recording.slices):,} {unit}s:")
        for name, row in rows.items():
            if name == "shmem" and max(row) < _MB:
                continue
            ends = f"{format_bytes(row[0])} to {format_bytes(row[-1])}, at most {format_bytes(max(row))}"
            room = max(10, width - 18 - len(ends))
            picture = "".join(bars[_height(value, top)] for value in thin(row, room))
            lines.append(f"  {_LABELS[name]:<13} {picture}  {ends}")
    return lines


def _values(recording: Recording, name: str) -> list[int]:
    return [value for sample in recording.slices if (value := getattr(sample, name)) is not None]


def _height(value: int, top: int) -> int:
    """From 1, for whatever is there at all, to 8."""
    return max(min(8, round(8 * value / top)), 1 if value else 0)
