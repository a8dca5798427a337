"""Allocation sites: which line asked for the memory that stays, by `tracemalloc`.

Tracing makes Python several times slower, so that it runs in a pass of its own, after a leak was found.
It sees what goes through Python's allocators (objects, numpy's arrays), not what C libraries ask malloc for.

`run --trace` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
import gc
import itertools
import sysconfig
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from .source import tree_of

# Deep enough to get from a library's inner function to the user's call of it.
FRAMES = 24
MOST_SITES = 5
MOST_SLICES = 40
FEWEST_SLICES = 4
# Seconds for each part of the pass, if the fewest slices do not take longer.
PART_SECONDS = 1.5
# What a leak's line asks for stays in each of so many parts of the pass.
PARTS = 2
# A site that stands for less than this share of the growth is not shown.
LEAST_SHARE = 0.02
# What one buffer grows by in one part of a pass is at least this share of what it does in another.
STEADY = 0.5
_OURS = str(Path(__file__).resolve().parents[1])


@dataclass
class Site:
    """What stays of what a line has asked for: bytes and blocks, over a part of a pass or for one iteration."""

    size: float = 0
    count: float = 0
    in_library: bool = False


def find_sites(
    snapshots: Sequence[tracemalloc.Snapshot], iterations: int
) -> tuple[list[dict[str, Any]], float]:
    """Allocation sites by how much they grew from each snapshot to the next.

    Args:
        snapshots: Three or more, the first one after a few slices, so that what warms up is in it.
        iterations: Slices between two of them.

    Returns:
        Sites as the result document has them, largest first, and the growth of all of them in bytes per
        iteration. The user's own line comes before the library's that it called: a site is the innermost
        frame outside of the libraries, where there is one; ``in_library`` says that there is none. What
        grew only once is no leak's site: it counts by the part in which it grew least.
    """
    parts = [_growth(before, after) for before, after in itertools.pairwise(snapshots)]
    ranked = rank(parts, [iterations] * len(parts))
    total = sum(site.size for _, site in ranked)
    sites = [
        site_document(place, site, total)
        for place, site in ranked[:MOST_SITES]
        if site.size >= LEAST_SHARE * total
    ]
    return sites, total


def rank(
    parts: Sequence[Mapping[tuple[str, int], Site]],
    lengths: Sequence[float],
    *,
    larger_by: float | None = None,
) -> list[tuple[tuple[str, int], Site]]:
    """The places that grew in each part of a pass, by the part in which they grew least, the largest first.

    Args:
        parts: Growth by place: file and line.
        lengths: How long each part was: in iterations, rows or seconds. What is returned is for one of them.
        larger_by: Places of the user's that have no more blocks than before count too, where those have become larger
            by so many bytes in each part: a text or a buffer that grows. None: they do not.
    """
    found: list[tuple[tuple[str, int], Site]] = []
    for place in set(parts[0]).intersection(*parts[1:]):
        grown = [(part[place], lengths[number]) for number, part in enumerate(parts)]
        least = Site(
            min(site.size / length for site, length in grown),
            min(site.count / length for site, length in grown),
            grown[0][0].in_library,
        )
        is_buffer = (
            larger_by is not None
            and not least.in_library
            and least.count >= 0
            and all(site.size >= larger_by for site, _ in grown)
            # What is made anew each time is now larger, now smaller.
            and least.size >= STEADY * max(site.size / length for site, length in grown)
        )
        if least.size > 0 and (least.count > 0 or is_buffer):
            found.append((place, least))
    return sorted(found, key=lambda item: -item[1].size)


def site_document(place: tuple[str, int], site: Site, total: float) -> dict[str, Any]:
    """A site as the result document has it.

    Args:
        place: Its file and line.
        site: What stays of it for one iteration.
        total: Bytes of all sites for one iteration.
    """
    file, line = place
    return {
        "file": file,
        "line": line,
        "function": function_at(file, line),
        "kind": "python",
        "bytes_per_iteration": round(site.size, 1),
        "count_per_iteration": round(site.count, 2),
        "share": round(site.size / total, 3),
        "in_library": site.in_library,
    }


def _growth(before: tracemalloc.Snapshot, after: tracemalloc.Snapshot) -> dict[tuple[str, int], Site]:
    keep = [tracemalloc.Filter(False, tracemalloc.__file__, all_frames=True)]
    found: dict[tuple[str, int], Site] = {}
    for change in after.filter_traces(keep).compare_to(before.filter_traces(keep), "traceback"):
        # What shrank counts too: what a slice makes and drops differs by the line of ours that read it.
        place, in_library = place_of(reversed([(f.filename, f.lineno) for f in change.traceback]))
        if place is None or change.size_diff == 0:
            continue
        site = found.setdefault(place, Site(in_library=in_library))
        site.size += change.size_diff
        site.count += change.count_diff
    return found


def place_of(frames: Iterable[tuple[str, int]]) -> tuple[tuple[str, int] | None, bool]:
    """The innermost frame that is the user's, else the innermost one; None where it is our own.

    Args:
        frames: File and line, the innermost first.
    """
    innermost: tuple[str, int] | None = None
    for file, line in frames:
        if file.startswith(_OURS):
            # Below our loop nothing is the user's. What we allocate ourselves is nobody's leak.
            break
        if innermost is None:
            innermost = (file, line)
        if not is_library(file):
            return (file, line), False
    return innermost, True


@lru_cache(maxsize=1)
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@lru_cache(maxsize=4096)
def is_library(file: str) -> bool:
    """Whether a file belongs to Python, to an installed package or to this one, and not to the user."""
    return (
        file.startswith(("<", _OURS, *_library_folders()))
        or "site-packages" in file
        or "dist-packages" in file
    )


def function_at(file: str, line: int) -> str | None:
    """The innermost function around a line, None at module level or where the source cannot be read."""
    best: ast.AST | None = None
    name: str | None = None
    for node, qualified in _functions(file):
        if node.lineno <= line <= (node.end_lineno or node.lineno) and (
            best is None or node.lineno >= getattr(best, "lineno", 0)
        ):
            best, name = node, qualified
    return name


@lru_cache(maxsize=16)
def _functions(file: str) -> list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    tree = tree_of(file)
    if tree is None:
        return []
    found: list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]] = []

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.append((child, f"{prefix}{child.name}"))
                walk(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.ClassDef):
                walk(child, f"{prefix}{child.name}.")
            else:
                walk(child, prefix)

    walk(tree, "")
    return found


_GROWING_CALLS = frozenset(
    {
        "append",
        "appendleft",
        "add",
        "extend",
        "insert",
        "update",
        "setdefault",
        "put",
        "put_nowait",
        "__setitem__",
        "write",
        "writelines",
    }
)


def lines_that_fill(file: str, name: str) -> list[int]:
    """Lines of a file that put something into the container of a name: ``name.append(…)``, ``name[…] = …``."""
    tree = tree_of(file)
    if tree is None:
        return []

    def is_it(node: ast.AST) -> bool:
        return (isinstance(node, ast.Name) and node.id == name) or (
            isinstance(node, ast.Attribute) and node.attr == name
        )

    return sorted({node.lineno for node in filling(tree, is_it)})


def filling(tree: ast.AST, is_it: Callable[[ast.AST], bool]) -> list[ast.Call | ast.Assign | ast.AugAssign]:
    """The statements and calls that put something into the container that the function knows."""
    found: list[ast.Call | ast.Assign | ast.AugAssign] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in _GROWING_CALLS and is_it(called.value):
                found.append(node)
        elif isinstance(node, ast.Assign):
            if any(isinstance(t, ast.Subscript) and is_it(t.value) for t in node.targets):
                found.append(node)
        elif isinstance(node, ast.AugAssign) and is_it(node.target):
            found.append(node)
    return found


def warm_up(walk: Callable[[], Iterator[None]], most: int) -> int:
    """Reads slices as long as a part of the pass may take: code may be fifty times slower now, and only trying tells.

    Returns:
        How many slices a part can have.
    """
    began, slices = time.monotonic(), 0
    for slices, _ in enumerate(itertools.islice(walk(), most), start=1):
        if slices >= FEWEST_SLICES and time.monotonic() - began > PART_SECONDS:
            break
    return slices


def take_snapshots(
    walk: Callable[[], Iterator[None]], most: int = MOST_SLICES
) -> tuple[list[tracemalloc.Snapshot], int]:
    """Traces Python's allocations over a few slices.

    Args:
        walk: Reads slices from the first one on, as it is iterated over.
        most: Slices between two of them at most.

    Returns:
        The snapshots, and how many slices lie between two of them. As many come before the first one, for
        what warms up under tracing, which does not count.
    """
    tracemalloc.start(FRAMES)
    try:
        slices = warm_up(walk, most)
        snapshots = [_snapshot()]
        for _ in range(PARTS):
            deque(itertools.islice(walk(), slices), maxlen=0)
            snapshots.append(_snapshot())
    finally:
        tracemalloc.stop()
    return snapshots, slices


def collector_runs() -> bool:
    """Whether the collector runs by itself: it is neither off nor told never to, by a threshold of 0."""
    return gc.isenabled() and gc.get_threshold()[0] > 0


def _snapshot() -> tracemalloc.Snapshot:
    # Cycles that wait for the collector are no leak, unless the program has turned that off.
    if collector_runs():
        gc.collect()
    return tracemalloc.take_snapshot()
