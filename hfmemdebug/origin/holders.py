"""Finds what keeps leaked objects alive: what grows with the slices, and the path to it from a root.

Looked for in this order, because each says more than the next: containers and caches that have more in them than
before; texts, buffers and arrays that grow under one name; objects of a type that multiplies, which hold each other.
And what hangs on no name: threads, callbacks, cycles that nothing collects, what `gc.freeze` has put aside. Memory
that a C library keeps has no path in Python. Sizes are compared by identity, before and after: a container that is
made anew at each slice, or that had room all along, shows no growth, and `referrers` asks the objects themselves.

`run --trace` takes this module into the program that it watches: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import atexit
import dataclasses
import functools
import gc
import itertools
import sys
import threading
import types
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..inject._hfmemdebug_common import PACKAGE, collector_runs
from ..leak import Bound, Holder, Line, RootPath
from .bounds import bound_of, bound_of_value
from .containers import (
    all_objects,
    count_types,
    identities,
    plain_weight_of,
    retained_by_views,
    size_of,
    unit_of,
    untracked,
    weight_of,
)
from .global_values import GlobalValue, global_values, growing_globals
from .paths import path_to
from .sites import is_library

MOST_HOLDERS = 3
# A path takes a few passes over all objects, and each of them a tenth of a second.
_MOST_CANDIDATES = 3 * MOST_HOLDERS
# Of items of which so many bytes come per slice, one is enough to be shown.
_LARGE = 1024
# Their number grows together with something that says more.
_BESIDE = (types.FrameType, types.CellType, types.TracebackType, weakref.ref)
_PLAIN = (list, dict, tuple, set)


@dataclass(frozen=True)
class Census:
    """Sizes of everything that can grow.

    Attributes:
        sizes: Length of each container and cache, by identity.
        types: Number of tracked objects of each type.
        ids: Identities of all tracked objects.
        globals: What can grow under one name.
        threads: Identities of the threads that run Python code.
        callbacks: How many functions are registered with `atexit`.
        frozen: How many objects no collection looks at.
    """

    sizes: dict[int, int]
    types: Counter[type]
    ids: frozenset[int]
    globals: dict[str, GlobalValue]
    threads: frozenset[int]
    callbacks: int
    frozen: int


def take_census() -> Census:
    """Counts what the collector tracks, after a collection."""
    gc.collect()
    sizes = {id(thing): size for thing in _things() if (size := size_of(thing)) is not None}
    return Census(
        sizes,
        count_types(),
        identities(),
        global_values(),
        frozenset(sys._current_frames()),
        atexit._ncallbacks(),
        gc.get_freeze_count(),
    )


def _things() -> Iterator[Any]:
    """Yields what may be a container. A dictionary comes once for each that refers to it."""
    objects, dictionaries = all_objects()
    return itertools.chain(objects, untracked(objects), dictionaries)


def find_holders(walk: Callable[[], Iterator[None]], slices: int) -> list[Holder]:
    """Reads slices and finds what has grown by them, what holds the most first.

    Args:
        walk: Reads slices from the first one on, as it is iterated over.
        slices: How many to read.
    """
    before = take_census()
    half = max(1, slices // 2)
    deque(itertools.islice(walk(), half), maxlen=0)
    middle = global_values()
    if collector_runs():
        gc.collect()
    types_then = count_types()
    deque(itertools.islice(walk(), slices - half), maxlen=0)
    # One more is what anything may have; every tenth slice is the rarest leak that is looked for.
    least = max(2, slices // 10)
    found: list[Holder] = []
    if not collector_runs():
        # What a collection would free is the leak then.
        found += _cycles(before.types, max(slices, least), slices)
    else:
        gc.collect()
    threads = len(sys._current_frames()) - len(before.threads)
    if threads >= least:
        found.append(_threads(before.threads, threads / slices))
    found += _grown_containers(before, slices, least, with_threads=threads < least)
    for kind, growth, unit in (
        ("atexit", atexit._ncallbacks() - before.callbacks, "function"),
        ("frozen", gc.get_freeze_count() - before.frozen, "object"),
    ):
        if growth >= least and not (kind == "frozen" and found):
            found.append(Holder(kind, round(growth / slices, 2), unit))
    found = found or _grown_globals(before, middle, slices) or _chains(before, types_then, slices, half)
    return found[:MOST_HOLDERS]


def _cycles(before: Counter[type], least: int, slices: int) -> list[Holder]:
    """Collects, and tells the type there were more of than before and are not any more."""
    full = count_types()
    gc.collect()
    left = count_types()
    freed = [
        (full[kind] - max(before[kind], left[kind]), kind)
        for kind in full
        if full[kind] - max(before[kind], left[kind]) >= least
    ]
    # A class of the program's own says more than the dictionaries in it.
    freed.sort(key=lambda pair: (pair[1].__module__ == "builtins", -pair[0]))
    return [Holder("cycles", round(n / slices, 2), "object", of=_qualified(kind)) for n, kind in freed[:1]]


def _threads(before: frozenset[int], growth: float) -> Holder:
    """Tells where the newest of the threads that came is."""
    holder = Holder("threads", round(growth, 2), "thread")
    now = sys._current_frames()
    newest = next((ident for ident in reversed(list(now)) if ident not in before), None)
    frame: types.FrameType | None = now.get(newest or 0)
    while frame is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is not None:
        at = Line(frame.f_code.co_filename, frame.f_lineno)
        return dataclasses.replace(holder, running=frame.f_code.co_name, running_at=at)
    kinds = [type(thread).__qualname__ for thread in threading.enumerate() if thread.ident == newest]
    return dataclasses.replace(holder, of=kinds[0] if kinds else None)


def container_holder(thing: Any, at: RootPath, growth: float) -> Holder:
    """Makes the holder of a container.

    Args:
        thing: The container.
        at: The way to it.
        growth: By how many items it grows per slice.
    """
    return Holder(
        "container",
        round(growth, 2),
        unit_of(thing),
        at,
        bound=own_bound(thing) or bound_of(thing, at),
        entries=size_of(thing),
    )


def own_bound(thing: Any) -> Bound | None:
    """Returns the bound that a cache or a deque was made with; None where there is none."""
    if type(thing) is functools._lru_cache_wrapper:
        most = thing.cache_info().maxsize
        return None if most is None else Bound(most, argument="maxsize")
    if isinstance(thing, deque) and thing.maxlen is not None:
        return Bound(thing.maxlen, argument="maxlen")
    return None


def _grown_containers(before: Census, slices: int, least: int, *, with_threads: bool) -> list[Holder]:
    mine = {id(before.sizes), id(before.types), id(before.globals), id(before.__dict__)}
    every = {id(thing): thing for thing in _things()}
    grown: list[tuple[float, int, Any]] = []
    for key, thing in every.items():
        old = before.sizes.get(key)
        if old is None or key in mine:
            continue
        size = size_of(thing)
        if size is None or size <= old:
            continue
        # A cache, and then the dictionary in it, which weighs the same.
        inside = thing
        if type(thing) is functools._lru_cache_wrapper:
            inside = next((each for each in gc.get_referents(thing) if type(each) is dict), thing)
        growth = size - old
        weight = growth * weight_of(inside)
        if growth >= least or weight >= _LARGE * slices:
            grown.append((weight, growth, thing))
    del every
    grown.sort(key=lambda each: (-each[0], type(each[2]) is dict))
    holders: list[tuple[bool, bool, Holder]] = []
    for _, growth, thing in grown[:_MOST_CANDIDATES]:
        at = path_to(thing, skip=(grown,))
        if at is None or any(at.place == other.at.place for _, _, other in holders if other.at is not None):
            # The dictionary inside a cache stands under the cache's name.
            continue
        module = at.root.name if at.root.kind == "module" else None
        if module in ("threading", None) and not with_threads:
            continue
        if (at.file or "").startswith(PACKAGE):
            # What this pass remembers itself.
            continue
        holder = container_holder(thing, at, growth / slices)
        # Of what is an entry itself it is not known how many others grow beside it.
        plain = plain_weight_of(thing) if holder.bound is not None and not at.entry_depth else None
        holder = dataclasses.replace(
            holder,
            bytes_per_iteration=None if plain is None else round(growth * plain / slices, 1),
            pins=retained_by_views(thing, growth),
        )
        # What refers weakly, and what a library registers on the way, goes with the user's own container.
        holders.append((_is_weak(thing), at.file is None or is_library(at.file), holder))
    return [holder for _, _, holder in sorted(holders, key=lambda each: each[:2])]


def _is_weak(thing: Any) -> bool:
    """Tells whether it is what a weak set or dictionary keeps its references in, or a list of such as `logging` has."""
    first: Any = None
    if isinstance(thing, set):
        first = next(set.__iter__(thing), None)
    elif isinstance(thing, list):
        first = next(list.__iter__(thing), None)
    elif isinstance(thing, dict):
        key, value = next(iter(dict.items(thing)), (None, None))
        first = value if isinstance(value, weakref.KeyedRef) else key
    return isinstance(first, weakref.ref)


def _grown_globals(before: Census, middle: dict[str, GlobalValue], slices: int) -> list[Holder]:
    """Tells texts, buffers, tuples and arrays that a name stands for, made anew or in place."""
    return [
        Holder(
            "container",
            round(growth / slices, 2),
            value.unit,
            value.at,
            bound=bound_of_value(value.at.steps, value.at.file),
        )
        for value, growth in growing_globals(before.globals, middle, global_values())
    ]


def _chains(before: Census, middle: Counter[type], slices: int, half: int) -> list[Holder]:
    """Where no container grows: objects that hold each other, by the type that multiplies in both halves."""
    # Before there is anything of our own.
    objects, _ = all_objects()
    now = count_types()
    more = [
        (count - before.types[kind], kind)
        for kind, count in now.items()
        if middle[kind] - before.types[kind] >= half
        and count - middle[kind] >= slices - half
        and kind not in _BESIDE
    ]
    # A class of the program's own says more than what is in it, and than what a library makes by the way.
    owners = {
        module.__name__: module
        for module in list(sys.modules.values())
        if isinstance(module, types.ModuleType)
    }

    def rank(pair: tuple[int, type]) -> tuple[bool, bool, int]:
        growth, kind = pair
        file = getattr(owners.get(kind.__module__), "__file__", None)
        mine = issubclass(kind, BaseException) or (file is not None and not is_library(file))
        return not mine, kind in _PLAIN, -growth

    more.sort(key=rank)
    if more and more[0][1] not in _PLAIN:
        more = [pair for pair in more if rank(pair)[:2] == rank(more[0])[:2]]
    holders = []
    for growth, kind in more[:MOST_HOLDERS]:
        at = _path_to_any(kind, objects, before)
        sort = "objects" if at is None else "exceptions" if issubclass(kind, BaseException) else "chain"
        holders.append(Holder(sort, round(growth / slices, 2), kind.__qualname__, at, of=_qualified(kind)))
    return holders


def _path_to_any(kind: type, objects: Sequence[Any], before: Census) -> RootPath | None:
    """Returns the path to a new object of a type: the newest of a chain is the one next to the root."""
    new = [thing for thing in objects if type(thing) is kind and id(thing) not in before.ids]
    for sample in (*new[-1:], *new[:1]):
        path = path_to(sample, skip=(objects, new))
        if path is not None:
            return path
    return None


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
