"""What is shown, whatever the format: human words for causes, and the cells of each table.

Terminal and Markdown differ in how they draw; what they say is decided once, here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hfmemdebug.result import ArmSummary, Finding, Result
from hfmemdebug.sizes import format_bytes, format_count, format_seconds

VERDICT_WORDS = {"no-leak": "NO LEAK", "leak": "LEAK", "inconclusive": "INCONCLUSIVE"}

CAUSE_WORDS = {
    "python-objects": "Python objects",
    "native-heap": "native memory",
    "arrow-pool": "Arrow buffers",
    "shared-memory": "shared memory",
    "copy-on-write": "copied pages",
    "file-mapping": "file mappings",
    "anonymous-other": "private memory",
    "mmap-file-pages": "mapped pages",
    "allocator-retention": "kept by allocator",
    "bounded-cache": "filled cache",
    "step": "one-off step",
}

_ROLE_WORDS = {"leak": "LEAK", "benign": "harmless"}
_SHAPE_WORDS = {
    "growing": "growing",
    "step": "one step",
    "plateau": "levels off",
    "stable": "flat",
    "inconclusive": "unclear",
}

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
    "kept_free": "  free, given back when asked",
    "free_between": "  free, between malloc's blocks",
    "untouched": "  in use, not yet written to",
    "nobody": "  not explained",
}
# Without a sign of having grown, these say nothing.
_BILLED_IF_GROWN = ("other_file_pages", "shared", "copied", "free_between", "untouched")
_NEGLIGIBLE = 1024**2

_SETTLING_WORDS = {
    "collect": "Given back: collection",
    "release_pools": "Given back: Arrow pools",
    "trim": "Given back: malloc trim",
    "drop_pages": "Given back: mapped pages",
}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Text without the control characters that could move the cursor or reverse a line."""
    return _CONTROL.sub("�", text.replace("\r\n", "\n"))


def one_line(text: str, most: int = 400) -> str:
    """Text on one line, cut where it is longer than `most` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def verdict_words(result: Result) -> str:
    """``NO LEAK``, ``LEAK`` or ``INCONCLUSIVE``; nothing for a command without a verdict."""
    if result.verdict is None:
        return ""
    return VERDICT_WORDS.get(result.verdict, one_line(result.verdict, 40).upper())


def verdict_sentence(result: Result, most: int = 1000) -> tuple[str, str]:
    """The summary in two parts: the verdict in capitals, and what follows it, separator included."""
    verdict = verdict_words(result)
    summary = one_line(result.summary, most)
    if not verdict:
        return "", summary
    if re.match(rf"{re.escape(verdict)}\b", summary, re.IGNORECASE):
        return verdict, summary[len(verdict) :]
    return verdict, f": {summary}" if summary else ""


def sentence_after(rest: str) -> str:
    """What follows the verdict, where it stands below it and not behind it."""
    sentence = rest.lstrip(":, ")
    return sentence[:1].upper() + sentence[1:]


def cause_words(cause: str) -> str:
    """A cause in words that need no manual."""
    return CAUSE_WORDS.get(cause, one_line(cause, 60))


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
    billed = any(arm.bill for arm in arms)
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
    grown = [sum(arm.bill.values()) if arm.bill else None for arm in arms]
    rows = [("RSS and swap grew by", [format_bytes(total, signed=True) for total in grown])]
    for name, label in _BILL_WORDS.items():
        owned = [arm.bill.get(name) for arm in arms]
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
            [c if u is None else f"{c} ({_percent(u)})" for c, u in zip(cells, unexplained, strict=True)],
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


def finding_cells(finding: Finding, *, thorough: bool = False) -> list[str]:
    """A finding as cells under `finding_header`; `thorough` adds the bounds of its rate, and its shape."""
    return [
        cause_words(finding.cause),
        one_line(finding.arm or "–", 60),
        format_bytes(finding.growth_bytes, signed=True),
        _rate(finding.rate_bytes_per_iteration, finding.interval if thorough else None),
        {True: "yes", False: "no", None: "not known"}[finding.reclaimable],
        _meaning(finding, thorough=thorough),
    ]


def finding_header(result: Result) -> list[str]:
    """The heads of `finding_cells`' columns."""
    return ["What grew", "Arm", "Growth", f"Per {unit(result)}", "Reclaimable", "What it is"]


def unit(result: Result) -> str:
    """The iteration that rates refer to."""
    return one_line(result.iteration, 30)


def rates_line(result: Result) -> str | None:
    """What settled growth amounts to per iteration, row and second; None where nothing of it is known."""
    of = {
        unit(result): result.rate_bytes_per_iteration,
        "row": result.rate_bytes_per_row,
        "second": result.rate_bytes_per_second,
    }
    known = [f"{_fine(value)} per {name}" for name, value in of.items() if value is not None]
    if not known:
        return None
    if not any(of.values()):
        return "Growth that cannot be taken back: none"
    return f"Growth that cannot be taken back: {', '.join(known)}"


def detectable_line(result: Result) -> str:
    """What this run could have seen."""
    smallest = result.smallest_detectable_bytes_per_iteration
    if smallest is None:
        return "How small a leak this run could have seen is not known."
    return f"This run would have seen a leak of {format_bytes(smallest)} per {unit(result)} or more."


def reclaim_lines(result: Result) -> list[str]:
    """For each arm where taking back was tried: what it proved, or why nothing is proved here."""
    return [_reclaim(one_line(arm.name, 60), arm.reclaim) for arm in result.arms if arm.reclaim is not None]


def outcome_lines(result: Result) -> list[str]:
    """For each arm that did not complete: where and of what it ended."""
    return [
        f"{one_line(arm.name, 60)}: {one_line(arm.outcome, 40)}"
        + (f": {one_line(arm.outcome_detail)}" if arm.outcome_detail else "")
        for arm in result.arms
        if arm.outcome != "completed"
    ]


def copied_lines(result: Result) -> list[str]:
    """Which files' pages were copied because they were written to, and how many there can be, a line an arm."""
    return [
        f"{one_line(finding.arm or 'this run', 60)}: {finding.detail}"
        for finding in result.findings
        if finding.cause == "copy-on-write" and finding.role == "benign" and finding.detail
    ]


def site_lines(result: Result) -> list[str]:
    """Where leaked memory was allocated, one line a site."""
    return [
        one_line(
            f"{site.get('file') or '?'}:{site.get('line') or '?'}, in {site.get('function') or '?'}"
            f" ({site.get('kind') or '?'}): {_fine(site.get('bytes_per_iteration'))}"
            f"{_allocations(site.get('count_per_iteration'))} per {unit(result)}, "
            f"{_percent(site.get('share'))} of the leak{_in_c(site.get('native_frames'))}"
        )
        for site in result.sites
    ]


def _in_c(frames: Sequence[str] | None) -> str:
    """The C functions that the line has called, the one that asked for the memory first."""
    return f"; in C: {' ← '.join(map(str, frames))}" if frames else ""


def _allocations(count: float | None) -> str:
    """Nothing where they were not counted, as those of a native library."""
    if count is None:
        return ""
    shown = format_count(count)
    return f" and {shown} allocation{'' if shown == '1' else 's'}"


def holder_lines(result: Result) -> list[str]:
    """What keeps leaked memory alive, one line a holder."""
    return [
        one_line(f"{holder.get('path') or '?'}{_growth_of(holder, unit(result))}{_pinned(holder)}")
        for holder in result.holders
    ]


def _growth_of(holder: dict[str, Any], per: str) -> str:
    """``(+1,000 keys per slice)``."""
    growth, thing = holder.get("growth_per_iteration"), str(holder.get("unit") or "")
    if not growth:
        return ""
    if thing == "byte":
        return f" ({format_bytes(growth, signed=True)} per {per})"
    if thing and growth != 1 and not thing.startswith("`"):
        thing = "entries" if thing == "entry" else f"{thing}s"
    return f" ({growth:+,.6g}{' ' if thing else ''}{thing} per {per})"


def _pinned(holder: dict[str, Any]) -> str:
    """How few bytes are used of how many are held."""
    pins = holder.get("pins")
    if not isinstance(pins, dict):
        return ""
    used, held = format_bytes(pins.get("used_bytes")), format_bytes(pins.get("held_bytes"))
    return f"; each {pins.get('kind')} of {used} pins {held}"


def _meaning(finding: Finding, *, thorough: bool) -> str:
    if finding.role == "leak" and finding.shape == "inconclusive":
        return "possible leak"
    role = _ROLE_WORDS.get(finding.role, one_line(finding.role, 40))
    if finding.cause == "copy-on-write" and finding.role == "benign":
        # It cannot be taken back, and a file of 4 GB makes it 4 GB.
        role = "bounded"
    return f"{role}, {_SHAPE_WORDS.get(finding.shape, one_line(finding.shape, 40))}" if thorough else role


def _reclaim(arm: str, proof: dict[str, Any]) -> str:
    if proof.get("why_not"):
        return f"Taking back is not provable here ({arm}), because {one_line(str(proof['why_not']))}"
    before, after = format_bytes(proof.get("rss_before")), format_bytes(proof.get("rss_after"))
    freed = f" ({format_bytes(proof['freed_bytes'])} freed)" if proof.get("freed_bytes") is not None else ""
    compared = {True: "the re-read data is the same", False: "BUT THE RE-READ DATA DIFFERS"}
    same = (
        compared.get(bool(proof["same_data"])) if proof.get("same_data") is not None else "data not compared"
    )
    return f"Taken back when asked ({arm}): RSS {before} → {after}{freed}, {same}"


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
    share = _percent(rows / arm.rows_total)
    total = f"{share} of {format_count(arm.rows_total)}" if thorough else share
    return f"{format_count(rows)} ({total})"


def _iterations(arm: ArmSummary) -> str:
    if not arm.slices_per_epoch:
        return format_count(arm.iterations)
    text = f"{format_count(arm.slices_per_epoch)} × {arm.epochs} epoch{'s' if arm.epochs != 1 else ''}"
    planned = arm.slices_per_epoch * arm.epochs
    return text if arm.iterations == planned else f"{format_count(arm.iterations)} of {text}"


def _time(arm: ArmSummary) -> str:
    measuring = f" ({_percent(arm.observer_share)})" if arm.observer_share is not None else ""
    return format_seconds(arm.seconds) + measuring


def _rate(value: float | None, interval: tuple[float, float] | None) -> str:
    text = "–" if value is None else format_bytes(value, signed=True)
    if interval is None:
        return text
    low, high = (format_bytes(bound, signed=True) for bound in interval)
    return text if low == high == text else f"{text} ({low} to {high})"


def _percent(share: float | None) -> str:
    if share is None:
        return "–"
    return f"{share:.2%}" if 0 < share < 0.001 else f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def _fine(value: float | None) -> str:
    """Bytes below one hundred with the digits that a rate per row needs."""
    if value is None or value == 0 or abs(value) >= 100:
        return format_bytes(value)
    return f"{value:.3g} B"


LIMIT_HEADER = ["", "Value"]
_LIMIT_ROWS = (
    ("Limit", "bytes", format_bytes),
    ("Swap beyond it", "swap_bytes", format_bytes),
    ("Enforced by", "how", str),
    ("Peak", "peak_bytes", format_bytes),
    ("File pages at the peak", "file_bytes_at_peak", format_bytes),
    ("Peak not reclaimable", "peak_unreclaimable_bytes", format_bytes),
    ("OOM kills", "oom_kills", format_count),
    ("Times at the limit", "limit_hits", format_count),
    ("Times throttled", "throttled", format_count),
    ("Waited for memory", "stalled_seconds", format_seconds),
    ("Pages read from disk", "major_faults", format_count),
    ("Outcome", "outcome", str),
    ("Exit status", "exit_status", str),
    ("Wall time", "seconds", format_seconds),
)


def limit_cells(limit: dict[str, Any]) -> list[list[str]]:
    """A run under a limit as rows of a label and a value."""
    return [
        [label, one_line(show(limit[key]), 80)]
        for label, key, show in _LIMIT_ROWS
        if limit.get(key) is not None
    ]


FIT_HEADER = ["Limit", "Outcome", "Time", "Times as long", "Pages read from disk", "Waited for memory"]


def fit_cells(fit: dict[str, Any]) -> list[list[str]]:
    """The runs of `fit` as cells under `FIT_HEADER`: the one without a limit, then from the largest down."""
    free = fit["free"]
    trials = sorted(fit["tried"], key=lambda trial: trial["bytes"], reverse=True)
    return [
        [
            "none" if trial["bytes"] is None else format_bytes(trial["bytes"]),
            one_line(trial["outcome"], 40),
            format_seconds(trial["seconds"]),
            f"{trial['seconds'] / free['seconds']:.1f}" if trial["outcome"] == "completed" else "–",
            format_count(trial["major_faults"]),
            format_seconds(trial["stalled_seconds"]),
        ]
        for trial in (free, *trials)
    ]


def fit_bars(fit: dict[str, Any], width: int = 16) -> list[str]:
    """The curve: for each row of `fit_cells` a bar as long as its time; nothing where it did not finish."""
    trials = [fit["free"], *sorted(fit["tried"], key=lambda trial: trial["bytes"], reverse=True)]
    longest = max(trial["seconds"] for trial in trials if trial["outcome"] == "completed")
    return [
        "#" * max(1, round(width * trial["seconds"] / longest)) if trial["outcome"] == "completed" else ""
        for trial in trials
    ]
