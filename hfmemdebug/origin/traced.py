"""What tracers inside a program have written, as sites and holders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hfmemdebug.origin.sites import LEAST_SHARE, Site, site_document
from hfmemdebug.origin.trace import users_lines

# Workers that are made anew each leave one.
MOST_TRACES = 16


def read_traces(folder: Path, began: float) -> list[dict[str, Any]]:
    """The traces of a program's processes, those with the most bytes.

    Args:
        folder: Where the tracers have written.
        began: When the watching began, on the clock that all processes share (`time.perf_counter`).

    Returns:
        For each process ``pid``, in seconds of the recording when tracing ``began`` and the looks ``from`` and ``to``
        which growth is told, ``blocks`` that came between those
        and the ``block_bytes`` of one (None where too few came), and ``sites`` and ``holders`` as the result
        document has them, whose iteration is all the time between those two.
    """
    found: list[dict[str, Any]] = []
    for file in folder.glob("*.trace"):
        try:
            found.append(json.loads(file.read_text()))
        except (OSError, ValueError):
            continue
    found.sort(key=lambda trace: -trace["traced_bytes"])
    return [_dressed(trace, began) for trace in found[:MOST_TRACES]]


def _dressed(trace: dict[str, Any], began: float) -> dict[str, Any]:
    total = trace["traced_bytes"]
    sites = [
        site_document((s["file"], s["line"]), Site(s["bytes"], s["count"], s["in_library"]), total)
        for s in trace["sites"]
        if s["bytes"] >= LEAST_SHARE * total
    ]
    holders = trace["holders"]
    return {
        "pid": trace["pid"],
        "began": round(trace["began"] - began, 3),
        "from": round(trace["from"] - began, 3),
        "to": round(trace["to"] - began, 3),
        "blocks": trace["blocks"],
        "block_bytes": trace["block_bytes"],
        "sites": users_lines(sites, holders),
        "holders": [
            {"path": h["path"], "growth_per_iteration": h["growth"], "unit": h["unit"]} for h in holders
        ],
        "caches": [h["bound"] for h in holders if h["bound"] is not None],
    }
