"""Sentences and cells of a report, the same in every format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hfmemdebug.leak import Holder
from hfmemdebug.render.text import fine_bytes, one_line, percent
from hfmemdebug.result import Finding, Result
from hfmemdebug.units import format_bytes, format_count

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
    "allocator-retention": "held by the allocator",
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


def verdict_words(result: Result) -> str:
    """Returns ``NO LEAK``, ``LEAK`` or ``INCONCLUSIVE``; nothing for a command without a verdict."""
    if result.verdict is None:
        return ""
    return VERDICT_WORDS.get(result.verdict, one_line(result.verdict, 40).upper())


def verdict_sentence(result: Result, most: int = 1000) -> tuple[str, str]:
    """Returns the summary in two parts: the verdict in capitals, and what follows it, separator included."""
    verdict = verdict_words(result)
    summary = one_line(result.summary, most)
    if not verdict:
        return "", summary
    if re.match(rf"{re.escape(verdict)}\b", summary, re.IGNORECASE):
        return verdict, summary[len(verdict) :]
    return verdict, f": {summary}" if summary else ""


def sentence_after(rest: str) -> str:
    """Returns what follows the verdict as a sentence of its own."""
    sentence = rest.lstrip(":, ")
    return sentence[:1].upper() + sentence[1:]


def cause_words(cause: str) -> str:
    """Returns a cause in words that need no manual."""
    return CAUSE_WORDS.get(cause, one_line(cause, 60))


def finding_cells(finding: Finding, *, thorough: bool = False) -> list[str]:
    """Returns a finding as cells; `thorough` adds the bounds of its rate, and its shape."""
    return [
        cause_words(finding.cause),
        one_line(finding.arm or "–", 60),
        format_bytes(finding.growth_bytes, signed=True),
        _rate(finding.rate_bytes_per_iteration, finding.interval if thorough else None),
        {True: "yes", False: "no", None: "not known"}[finding.reclaimable],
        _meaning(finding, thorough=thorough),
    ]


def unit(result: Result) -> str:
    """Returns the iteration that rates refer to."""
    return one_line(result.iteration, 30)


def rates_line(result: Result) -> str | None:
    """Returns settled growth per iteration, row and second; None where nothing of it is known."""
    of = {
        unit(result): result.rate_bytes_per_iteration,
        "row": result.rate_bytes_per_row,
        "second": result.rate_bytes_per_second,
    }
    known = [f"{fine_bytes(value)} per {name}" for name, value in of.items() if value is not None]
    if not known:
        return None
    if not any(of.values()):
        return "Unreclaimable growth: none"
    return f"Unreclaimable growth: {', '.join(known)}"


def detectable_line(result: Result) -> str:
    """Returns the smallest leak that this run could have seen."""
    smallest = result.smallest_detectable_bytes_per_iteration
    if smallest is None:
        return "Detection limit: not known"
    return f"Detection limit: {format_bytes(smallest)} per {unit(result)}"


def reclaim_lines(result: Result) -> list[str]:
    """Returns for each run where reclaim was tested what it showed, or why it was not possible."""
    return [_reclaim(one_line(arm.name, 60), arm.reclaim) for arm in result.arms if arm.reclaim is not None]


def outcome_lines(result: Result) -> list[str]:
    """Returns for each run that did not complete where and of what it ended."""
    return [
        f"{one_line(arm.name, 60)}: {one_line(arm.outcome, 40)}"
        + (f": {one_line(arm.outcome_detail)}" if arm.outcome_detail else "")
        for arm in result.arms
        if arm.outcome != "completed"
    ]


def detail_lines(result: Result, *, thorough: bool) -> list[str]:
    """Returns what is known of findings beyond their figures: of a leak, and of pages that were copied on write.

    Args:
        result: The result.
        thorough: Of every finding.
    """
    return [
        f"{cause_words(finding.cause)}{_of_arm(finding)}: {finding.detail}"
        for finding in result.findings
        if finding.detail and (thorough or finding.role == "leak" or finding.cause == "copy-on-write")
    ]


def _of_arm(finding: Finding) -> str:
    return f" ({one_line(finding.arm, 60)})" if finding.arm and finding.role != "leak" else ""


def site_lines(result: Result) -> list[str]:
    """Returns where leaked memory was allocated, one line a site."""
    return [
        one_line(
            f"{site.file}:{site.line}, in {site.function or '?'}"
            f" ({site.kind}): {fine_bytes(site.bytes_per_iteration)}"
            f"{_allocations(site.count_per_iteration)} per {unit(result)}, "
            f"{percent(site.share)} of the leak{_in_c(site.native_frames)}"
        )
        for site in result.sites
    ]


def _in_c(frames: Sequence[str] | None) -> str:
    """Returns the C functions that the line has called, the one that asked for the memory first."""
    return f"; in C: {' ← '.join(map(str, frames))}" if frames else ""


def _allocations(count: float | None) -> str:
    """Returns nothing where they were not counted, as those of a native library."""
    if count is None:
        return ""
    shown = format_count(count)
    return f" and {shown} allocation{'' if shown == '1' else 's'}"


def holder_lines(result: Result) -> list[str]:
    """Returns what keeps leaked memory alive, one line a holder."""
    return [
        one_line(f"{holder.path}{_growth_of(holder, unit(result))}{_pinned(holder)}")
        for holder in result.holders
    ]


def _growth_of(holder: Holder, per: str) -> str:
    """``(+1,000 keys per slice)``."""
    growth, thing = holder.growth_per_iteration, holder.unit
    if not growth:
        return ""
    if thing == "byte":
        return f" ({format_bytes(growth, signed=True)} per {per})"
    if holder.kind in ("chain", "exceptions", "objects"):
        thing = f"`{thing}`"
    elif growth != 1:
        thing = "entries" if thing == "entry" else f"{thing}s"
    return f" ({growth:+,.6g} {thing} per {per})"


def _pinned(holder: Holder) -> str:
    """Returns how few bytes are used of how many are held."""
    pins = holder.pins
    if pins is None:
        return ""
    return f"; each {pins.kind} of {format_bytes(pins.used_bytes)} pins {format_bytes(pins.held_bytes)}"


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
        return f"Reclaim test not possible here ({arm}), because {one_line(str(proof['why_not']))}"
    before, after = format_bytes(proof.get("rss_before")), format_bytes(proof.get("rss_after"))
    freed = f" ({format_bytes(proof['freed_bytes'])} freed)" if proof.get("freed_bytes") is not None else ""
    compared = {True: "the re-read data is the same", False: "BUT THE RE-READ DATA DIFFERS"}
    same = (
        compared.get(bool(proof["same_data"])) if proof.get("same_data") is not None else "data not compared"
    )
    return f"Reclaim test ({arm}): RSS {before} → {after}{freed}, {same}"


def _rate(value: float | None, interval: tuple[float, float] | None) -> str:
    text = "–" if value is None else format_bytes(value, signed=True)
    if interval is None:
        return text
    low, high = (format_bytes(bound, signed=True) for bound in interval)
    return text if low == high == text else f"{text} ({low} to {high})"
