"""What keeps leaked objects alive: what grows with the slices, and the path to it from a root.

Found are containers and caches; where none grows, texts, buffers and arrays that grow under one name, and objects
that hold each other; and what hangs on no name: threads, callbacks and cycles. Memory that a C library keeps has
no path in Python.
"""

from __future__ import annotations

import functools
import gc
import itertools
import sys
import types
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hfmemdebug.origin import nameless
from hfmemdebug.origin.bounds import bound_of, bound_of_name
from hfmemdebug.origin.containers import (
    count_types,
    identities,
    size_of,
    unit_of,
    untracked,
    whatever_is_safe,
)
from hfmemdebug.origin.named import NamedValue, grown_names, named_values
from hfmemdebug.origin.paths import RootPath, path_to
from hfmemdebug.origin.pieces import entries_in
from hfmemdebug.origin.pins import pinned_by, plain_weight_of, weight_of
from hfmemdebug.origin.sites import collector_runs, is_library

MOST_HOLDERS = 3
# A path takes a few looks at all objects, and each of them a tenth of a second.
_MOST_CANDIDATES = 3 * MOST_HOLDERS
# Of items of which so many bytes come per slice, one is enough to be shown.
_LARGE = 1024
# What multiplies together with something that says more.
_BESIDE = (types.FrameType, types.CellType, types.TracebackType, weakref.ref)
_PLAIN = (list, dict, tuple, set)

Holder = dict[str, Any]


@dataclass(frozen=True)
class Census:
    """Sizes of everything that can grow.

    Attributes:
        sizes: Length of each container and cache, by identity.
        types: Number of tracked objects of each type.
        ids: Identities of all tracked objects.
        named: What can grow under one name.
        threads: Identities of the threads that run.
        callbacks: How many functions wait for the end of the program.
        frozen: How many objects no collection looks at.
    """

    sizes: dict[int, int]
    types: Counter[type]
    ids: frozenset[int]
    named: dict[str, NamedValue]
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
        named_values(),
        nameless.running_threads(),
        nameless.callbacks(),
        gc.get_freeze_count(),
    )


def _things() -> Iterator[Any]:
    """What may be a container. A dictionary comes once for each that refers to it."""
    objects, dictionaries = whatever_is_safe()
    return itertools.chain(objects, untracked(objects), dictionaries)


def find_holders(walk: Callable[[], Iterator[None]], slices: int) -> list[Holder]:
    """Reads slices and finds what has grown by them.

    Args:
        walk: Reads slices from the first one on, as it is iterated over.
        slices: How many to read.

    Returns:
        Holders as the result document has them, what holds the most first, each with the name of the
        container, its module's file and its place for whoever looks for the line (each may be None). Where
        it has a bound and holds nothing but numbers and texts, with ``bytes_per_iteration``; where
        little of what is held is used, with ``pins``: ``{kind, used_bytes, held_bytes}``, on average of an item.
    """
    before = take_census()
    half = max(1, slices // 2)
    deque(itertools.islice(walk(), half), maxlen=0)
    middle = named_values()
    if collector_runs():
        gc.collect()
    types_then = count_types()
    deque(itertools.islice(walk(), slices - half), maxlen=0)
    # One more is what anything may have; every tenth slice is the rarest leak that is looked for.
    least = max(2, slices // 10)
    found: list[Holder] = []
    if not collector_runs():
        # What a collection would free is the leak then.
        for growth, kind in nameless.garbage_of_cycles(before.types, max(slices, least)):
            words = f"reference cycles, which the collector would free if it were not off: objects of type `{kind}`"
            found.append(holder_document(words, growth / slices, "object"))
    else:
        gc.collect()
    growth, where = nameless.grown_threads(before.threads)
    if growth >= least:
        found.append(holder_document(f"threads that do not end{where}", growth / slices, "thread"))
    found += _grown_containers(before, slices, least, with_threads=growth < least)
    growth = nameless.callbacks() - before.callbacks
    if growth >= least:
        found.append(holder_document("functions registered with `atexit`", growth / slices, "function"))
    growth = gc.get_freeze_count() - before.frozen
    if growth >= least and not found:
        words = "objects that `gc.freeze()` keeps from the collector: cycles among them are never freed"
        found.append(holder_document(words, growth / slices, "object"))
    found = found or _grown_names(before, middle, slices) or _chains(before, types_then, slices, half)
    return found[:MOST_HOLDERS]


def holder_document(words: str, growth: float, unit: str, path: RootPath | None = None) -> Holder:
    """A holder: its path in words, by how much it grows per slice, and in what."""
    return {
        "path": words,
        "growth_per_iteration": round(growth, 2),
        "unit": unit,
        "name": path.name if path is not None else None,
        "file": path.file if path is not None else None,
        "place": path.place if path is not None else None,
    }


def _grown_containers(before: Census, slices: int, least: int, *, with_threads: bool) -> list[Holder]:
    mine = {id(before.sizes), id(before.types), id(before.named), id(before.__dict__)}
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
    holders: list[Holder] = []
    order: list[tuple[bool, bool]] = []
    for _, growth, thing in grown[:_MOST_CANDIDATES]:
        path = path_to(thing, skip=(grown,))
        if path is None or any(path.place == other["place"] for other in holders):
            # The dictionary inside a cache stands under the cache's name.
            continue
        if path.module in ("threading", None) and not with_threads:
            continue
        if (path.module or "").startswith("hfmemdebug."):
            # What this pass remembers itself.
            continue
        bound = bound_of(thing, path)
        words = path.words + (bound.words if bound is not None else "")
        holder = holder_document(words, growth / slices, unit_of(thing), path)
        has_bound = bound is not None or (isinstance(thing, deque) and thing.maxlen is not None)
        # Of an entry's nobody knows how many others grow beside it.
        plain = plain_weight_of(thing) if has_bound and not entries_in(path.place) else None
        if plain is not None:
            holder["bytes_per_iteration"] = round(growth * plain / slices, 1)
        pins = pinned_by(thing, growth)
        if pins is not None:
            holder["pins"] = pins
        holders.append(holder)
        # What refers weakly, and what a library registers on the way, goes with the user's own container.
        order.append((_is_weak(thing), path.file is None or is_library(path.file)))
    return [holder for _, holder in sorted(zip(order, holders, strict=True), key=lambda pair: pair[0])]


def _is_weak(thing: Any) -> bool:
    """Whether it is what a weak set or dictionary keeps its references in, or a list of such as `logging` has."""
    first: Any = None
    if isinstance(thing, set):
        first = next(set.__iter__(thing), None)
    elif isinstance(thing, list):
        first = next(list.__iter__(thing), None)
    elif isinstance(thing, dict):
        key, value = next(iter(dict.items(thing)), (None, None))
        first = value if isinstance(value, weakref.KeyedRef) else key
    return isinstance(first, weakref.ref)


def _grown_names(before: Census, middle: dict[str, NamedValue], slices: int) -> list[Holder]:
    """Texts, buffers, tuples and arrays that a name stands for, made anew or in place."""
    holders = []
    for value, growth in grown_names(before.named, middle, named_values()):
        bound = bound_of_name(value.label, value.file)
        words = value.words + (bound.words if bound is not None else "")
        holder = holder_document(words, growth / slices, value.unit)
        holder.update(name=value.name, file=value.file, place=value.words)
        holders.append(holder)
    return holders


def _chains(before: Census, middle: Counter[type], slices: int, half: int) -> list[Holder]:
    """Where no container grows: objects that hold each other, by the type that multiplies in both halves."""
    # Before there is anything of our own.
    objects, _ = whatever_is_safe()
    now = count_types()
    more = [
        (count - before.types[kind], kind)
        for kind, count in now.items()
        if middle[kind] - before.types[kind] >= half
        and count - middle[kind] >= slices - half
        and kind not in _BESIDE
    ]
    # A class of somebody's own says more than what is in it, and than what a library makes by the way.
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
        path = _path_to_any(kind, objects, before)
        words = f"objects of type `{kind.__module__}.{kind.__qualname__}`" if path is None else path.words
        if path is not None and issubclass(kind, BaseException):
            words += ", a chain of exceptions, each with the local variables of its traceback"
        holders.append(holder_document(words, growth / slices, f"`{kind.__qualname__}`"))
    return holders


def _path_to_any(kind: type, objects: Sequence[Any], before: Census) -> RootPath | None:
    """The path to a new object of a type: the newest of a chain is the one next to the root."""
    new = [thing for thing in objects if type(thing) is kind and id(thing) not in before.ids]
    for sample in (*new[-1:], *new[:1]):
        path = path_to(sample, skip=(objects, new))
        if path is not None:
            return path
    return None
