"""The second, shorter pass over a leaking program: where its memory comes from and what holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hfmemdebug.origin.holders import find_holders
from hfmemdebug.origin.lines import find_native_lines
from hfmemdebug.origin.sites import find_sites, function_at, is_library, lines_that_fill, take_snapshots

LEAST_KEPT_SHARE = 0.2
# A line of Python's that makes this share of a leak needs no other one beside it.
LEAST_TRACED = 0.5


def trace(
    walk: Callable[[], Iterator[None]], native: tuple[Callable[[], int | None], float] | None = None
) -> dict[str, Any]:
    """Finds the sites and the holders of a leak.

    Args:
        walk: Reads slices from the first one on and hands each to the consumer, as it is iterated over.
        native: Where Python's objects have no part in it: the counter that leaks, and by how much per slice.

    Returns:
        ``sites`` and ``holders`` as the result document has them, each site with ``in_library``, and
        ``traced_bytes_per_iteration``: what of the leak went through Python's allocators.
    """
    snapshots, slices = take_snapshots(walk)
    sites, traced = find_sites(snapshots, slices)
    del snapshots
    holders = find_holders(walk, slices)
    line = _line_of(holders)
    shown: list[dict[str, Any]] = []
    for site in sites:
        if site["in_library"] and line is not None:
            if site["share"] < LEAST_KEPT_SHARE:
                # What tracing and the libraries lose beside the leak is not that line's.
                continue
            # The library made it because it was asked to; the line that keeps it is the one to look at.
            site.update(file=line[0], line=line[1], function=function_at(*line), in_library=False)
        same = next((s for s in shown if (s["file"], s["line"]) == (site["file"], site["line"])), None)
        if same is None:
            shown.append(site)
            continue
        for name in ("bytes_per_iteration", "count_per_iteration", "share"):
            same[name] = round(same[name] + site[name], 3)
    if native is not None and not any(s["bytes_per_iteration"] >= LEAST_TRACED * native[1] for s in shown):
        shown = [*find_native_lines(walk, *native), *shown]
    for holder in holders:
        for name in ("name", "file", "place"):
            del holder[name]
    return {"sites": shown, "holders": holders, "traced_bytes_per_iteration": round(traced, 1)}


def _line_of(holders: list[dict[str, Any]]) -> tuple[str, int] | None:
    """The line of the user's that fills the fastest growing container, where it can be told."""
    for holder in holders:
        if holder["file"] is None or holder["name"] is None or is_library(holder["file"]):
            continue
        lines = lines_that_fill(holder["file"], holder["name"])
        if lines:
            return holder["file"], lines[0]
    return None
