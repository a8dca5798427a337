"""What tracers inside a program have written, as sites and holders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hfmemdebug.origin.sites import LEAST_SHARE, Site, site_document
from hfmemdebug.origin.trace import users_lines
from hfmemdebug.recording.end import Cache, ProcessTrace

# Workers that are made anew each leave one.
MOST_TRACES = 16


def read_traces(folder: Path, began: float) -> list[ProcessTrace]:
    """The traces of a program's processes, those with the most bytes.

    Args:
        folder: Where the tracers have written.
        began: When the watching began, on the clock that all processes share (`time.perf_counter`).
    """
    found: list[dict[str, Any]] = []
    for file in folder.glob("*.trace"):
        try:
            found.append(json.loads(file.read_text()))
        except (OSError, ValueError):
            continue
    found.sort(key=lambda trace: -trace["traced_bytes"])
    return [_dressed(trace, began) for trace in found[:MOST_TRACES]]


def _dressed(trace: dict[str, Any], began: float) -> ProcessTrace:
    total = trace["traced_bytes"]
    sites = [
        site_document((s["file"], s["line"]), Site(s["bytes"], s["count"], s["in_library"]), total)
        for s in trace["sites"]
        if s["bytes"] >= LEAST_SHARE * total
    ]
    holders = trace["holders"]
    return ProcessTrace(
        pid=trace["pid"],
        began=round(trace["began"] - began, 3),
        from_=round(trace["from"] - began, 3),
        to=round(trace["to"] - began, 3),
        blocks=trace["blocks"],
        block_bytes=trace["block_bytes"],
        sites=tuple(users_lines(sites, holders)),
        holders=tuple(
            {"path": h["path"], "growth_per_iteration": h["growth"], "unit": h["unit"]} for h in holders
        ),
        caches=tuple(Cache(**h["bound"]) for h in holders if h["bound"] is not None),
    )
