"""The arms side by side: what they read, what grew in each, and where every byte of it went."""

from __future__ import annotations

from collections.abc import Sequence

from hfmemdebug.render.text import one_line, percent
from hfmemdebug.result import ArmSummary, Result
from hfmemdebug.units import format_bytes, format_count, format_seconds

_COMPONENT_WORDS = {
    "rss": "RSS grew by",
    "file": "  mapped file pages",
    "anon": "  anonymous",
    "shmem": "  shared memory",
    "swap": "Swap",
    "arrow": "Still in use: Arrow pool",
    "malloc": "Still in use: malloc",
    "python": "Still in use: Python objects",
}
# Shown even where nobody could read them: a missing figure must not look like nothing grew.
_ALWAYS_SHOWN = ("rss", "file", "anon", "shmem", "arrow", "malloc", "python")

# Where every byte went; the owners add up to the first line.
_BILL_WORDS = {
    "dataset_pages": "  dataset's mapped pages",
    "other_file_pages": "  other mapped pages",
    "shared": "  shared memory",
    "python": "  Python objects in use",
    "malloc": "  malloc in use",
    "arrow": "  Arrow pool in use",
    "copied": "  private copies of file pages",
    "allocator_retained": "  free, given back when asked",
    "fragmentation": "  free, between blocks in use",
    "reserved_untouched": "  in use, not yet written to",
    "unattributed": "  not explained",
}
# Without a sign of having grown, these say nothing.
_BILLED_IF_GROWN = ("other_file_pages", "shared", "copied", "fragmentation", "reserved_untouched")
_NEGLIGIBLE = 1024**2

_SETTLING_WORDS = {
    "collect": "Given back: collection",
    "release_pools": "Given back: Arrow pools",
    "trim": "Given back: malloc trim",
    "drop_pages": "Given back: mapped pages",
}


def arm_rows(result: Result, *, thorough: bool = False) -> list[tuple[str, list[str]]]:
    """The arms side by side: a label, and a cell for each arm.

    Args:
        result: The result.
        thorough: Every row, also those that say nothing out of the ordinary.
    """
    arms = result.arms
    rows = []
    if thorough and any(arm.loaded for arm in arms):
        rows = [("Loaded as", [_loaded(arm) for arm in arms])]
    rows += [
        ("Rows read (of all)", [_rows_read(arm, thorough=thorough) for arm in arms]),
        ("Iterations", [_iterations(arm) for arm in arms]),
    ]
    billed = any(arm.breakdown for arm in arms)
    rows += _bill_rows(arms) if billed else _growth_rows(arms, thorough=thorough)
    if thorough or not billed:
        rows += _settling_rows(arms, thorough=thorough)
    return [
        *rows,
        ("Peak RSS", [format_bytes(arm.peak_rss_bytes) for arm in arms]),
        ("Peak not reclaimable", [format_bytes(arm.peak_unreclaimable_bytes) for arm in arms]),
        ("Time (spent measuring)", [_time(arm) for arm in arms]),
        ("Outcome", [one_line(arm.outcome, 40) for arm in arms]),
    ]


def _bill_rows(arms: Sequence[ArmSummary]) -> list[tuple[str, list[str]]]:
    grown = [sum(arm.breakdown.values()) if arm.breakdown else None for arm in arms]
    rows = [("RSS and swap grew by", [format_bytes(total, signed=True) for total in grown])]
    for name, label in _BILL_WORDS.items():
        owned = [arm.breakdown.get(name) for arm in arms]
        if name in _BILLED_IF_GROWN and all(abs(value or 0) < _NEGLIGIBLE for value in owned):
            continue
        if any(value is not None for value in owned) or name == "malloc":
            rows.append((label, [format_bytes(value, signed=True) for value in owned]))
    unexplained = [None if arm.explained_share is None else 1 - arm.explained_share for arm in arms]
    label, cells = rows.pop()
    return [
        *rows,
        (
            label,
            [c if u is None else f"{c} ({percent(u)})" for c, u in zip(cells, unexplained, strict=True)],
        ),
    ]


def _settling_rows(arms: Sequence[ArmSummary], *, thorough: bool) -> list[tuple[str, list[str]]]:
    # What is lost in the rounding of the arms' RSS says nothing to a tired reader.
    floor = max(1 << 20, max((arm.peak_rss_bytes or 0 for arm in arms), default=0) // 100)
    rows = []
    for name, label in _SETTLING_WORDS.items():
        given = [arm.settled.get(name) for arm in arms]
        if any(value is not None if thorough else abs(value or 0) >= floor for value in given):
            rows.append((label, [format_bytes(value) for value in given]))
    return rows


def _growth_rows(arms: Sequence[ArmSummary], *, thorough: bool) -> list[tuple[str, list[str]]]:
    rows = []
    for name in _components(arms):
        grown = [arm.growth.get(name) for arm in arms]
        if any(grown) or (name in _ALWAYS_SHOWN and (thorough or name != "shmem" or None in grown)):
            label = _COMPONENT_WORDS.get(name, one_line(name, 30))
            rows.append((label, [format_bytes(value, signed=True) for value in grown]))
    return rows


def _components(arms: Sequence[ArmSummary]) -> list[str]:
    """The components of growth in the order of `_COMPONENT_WORDS`, then those it does not know."""
    found = dict.fromkeys(name for arm in arms for name in arm.growth)
    return [*_COMPONENT_WORDS, *(name for name in found if name not in _COMPONENT_WORDS)]


def _loaded(arm: ArmSummary) -> str:
    """The storage and what is behind it; no names, which may be private."""
    if not arm.loaded:
        return "–"
    files = arm.loaded.get("files") or ()
    if not files:
        return one_line(str(arm.loaded.get("storage")), 40)
    size = format_bytes(sum(file.get("size_bytes") or 0 for file in files))
    systems = ", ".join(sorted({one_line(str(file.get("filesystem") or "unknown"), 20) for file in files}))
    count = f"{len(files)} file{'s' if len(files) > 1 else ''}"
    return f"{one_line(str(arm.loaded.get('storage')), 40)}: {count}, {size} on {systems}"


def _rows_read(arm: ArmSummary, *, thorough: bool) -> str:
    rows = arm.rows
    if arm.step and arm.slices_per_epoch:
        # Rows that were read in several epochs are still the same rows.
        rows = min(rows, arm.step * arm.slices_per_epoch)
    if not arm.rows_total:
        return format_count(rows) if rows or arm.mode != "program" else "–"
    rows = min(rows, arm.rows_total)
    if rows == arm.rows_total:
        return f"all {format_count(rows)}"
    share = percent(rows / arm.rows_total)
    total = f"{share} of {format_count(arm.rows_total)}" if thorough else share
    return f"{format_count(rows)} ({total})"


def _iterations(arm: ArmSummary) -> str:
    if not arm.slices_per_epoch:
        return format_count(arm.iterations)
    text = f"{format_count(arm.slices_per_epoch)} × {arm.epochs} epoch{'s' if arm.epochs != 1 else ''}"
    planned = arm.slices_per_epoch * arm.epochs
    return text if arm.iterations == planned else f"{format_count(arm.iterations)} of {text}"


def _time(arm: ArmSummary) -> str:
    measuring = f" ({percent(arm.observer_share)})" if arm.observer_share is not None else ""
    return format_seconds(arm.seconds) + measuring
