"""The ranks of a run and their nodes as cells of tables, for every format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hfmemdebug.render.processes import Table
from hfmemdebug.render.text import one_line
from hfmemdebug.render.words import VERDICT_WORDS
from hfmemdebug.result import Result
from hfmemdebug.units import format_bytes, format_count

MOST_RANKS = 16
MOST_NODES = 8
# Beside it the rank's number is no name any more.
_IN_JSON = "all are in -o FILE.json"


def rank_tables(result: Result) -> Iterable[Table]:
    """Header, rows and what was left out: the ranks, outliers first, then the nodes where there are several."""
    ranks = result.ranks or ()
    if ranks:
        nodes = {entry["node"] for entry in ranks}
        header = [
            "Rank",
            *(["Node"] if len(nodes) > 1 else []),
            "Verdict",
            f"Per {result.iteration}",
            "Growth",
        ]
        header += ["Peak PSS", "Peak not reclaimable", "Rows", "Ended"]
        rows = [_rank_row(entry, many=len(nodes) > 1) for entry in ranks[:MOST_RANKS]]
        yield header, rows, _left(ranks[MOST_RANKS:])
    places = result.nodes or ()
    if len(places) > 1:
        # The node whose memory is fullest is the one that dies first.
        shown = sorted(places, key=lambda place: (-len(place["leaking"]), -(place["peak_pss_bytes"] or 0)))
        header = ["Node", "Ranks", "that leak", "Growth", "Peaks of PSS, summed", "not reclaimable, summed"]
        rows = [_node_row(place) for place in shown[:MOST_NODES]]
        left = len(places) - MOST_NODES
        yield header, rows, f"and {left:,} more nodes ({_IN_JSON})" if left > 0 else ""


def _rank_row(entry: Mapping[str, Any], *, many: bool) -> list[str]:
    leak = entry["verdict"] == "leak"
    return [
        str(entry["rank"]),
        *([str(entry["node"])] if many else []),
        VERDICT_WORDS.get(entry["verdict"], one_line(str(entry["verdict"]), 20)),
        format_bytes(entry["rate_bytes_per_iteration"], signed=True) if leak else "–",
        format_bytes(entry["growth_bytes"], signed=True) if leak else "–",
        format_bytes(entry["peak_pss_bytes"]),
        format_bytes(entry["peak_unreclaimable_bytes"]),
        format_count(entry["rows"]) if entry["rows"] else "–",
        one_line(str(entry["outcome"]), 20),
    ]


def _node_row(place: Mapping[str, Any]) -> list[str]:
    return [
        str(place["node"]),
        format_count(len(place["ranks"])),
        format_count(len(place["leaking"])),
        format_bytes(place["growth_bytes"], signed=True) if place["leaking"] else "–",
        format_bytes(place["peak_pss_bytes"]),
        format_bytes(place["peak_unreclaimable_bytes"]),
    ]


def _left(entries: tuple[Mapping[str, Any], ...]) -> str:
    if not entries:
        return ""
    counts: dict[str, int] = {}
    for entry in entries:
        word = VERDICT_WORDS.get(entry["verdict"], "").lower()
        counts[word] = counts.get(word, 0) + 1
    told = ", ".join(f"{count:,} {word}" for word, count in counts.items())
    return f"and {len(entries):,} more ranks: {told} ({_IN_JSON})"
