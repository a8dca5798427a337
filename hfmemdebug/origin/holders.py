"""What keeps leaked objects alive: containers that grow with the slices, and the path to each from a root.

Found is what the cycle collector tracks, and dictionaries that it can reach: lists, sets, deques, caches
and objects with attributes. Memory that a C library keeps has no path in Python.
"""

from __future__ import annotations

import functools
import gc
import itertools
import sys
import types
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hfmemdebug.origin.constants import string_constants

MOST_HOLDERS = 3
_DEEPEST = 6
# gc.get_referrers looks at every tracked object: so many looks are a second or two.
_MOST_LOOKS = 40
_CONTAINERS = (list, dict, set, deque)


@dataclass(frozen=True)
class Census:
    """Sizes of everything that can grow, by identity.

    Attributes:
        sizes: Length of each container and cache.
        types: Number of tracked objects of each type.
        ids: Identities of all tracked objects.
    """

    sizes: dict[int, int]
    types: Counter[type]
    ids: frozenset[int]


def take_census() -> Census:
    """Counts what the collector tracks."""
    gc.collect()
    objects = gc.get_objects()
    sizes = {
        id(thing): size for thing in (*objects, *_untracked(objects)) if (size := _size_of(thing)) is not None
    }
    return Census(sizes, Counter(map(type, objects)), frozenset(map(id, objects)))


def _untracked(objects: list[Any]) -> list[dict[Any, Any]]:
    """Dictionaries that hold numbers and strings alone, which the collector does not track (up to 3.13)."""
    return [thing for thing in gc.get_referents(*objects) if type(thing) is dict and not gc.is_tracked(thing)]


def _size_of(thing: Any) -> int | None:
    # By exact type: a subclass may have a __len__ of its own that does anything.
    if type(thing) in _CONTAINERS:
        return len(thing)
    if isinstance(thing, functools._lru_cache_wrapper):
        return thing.cache_info().currsize
    return None


def find_holders(walk: Callable[[], Iterator[None]], slices: int) -> list[dict[str, Any]]:
    """Reads slices and finds what has grown by them.

    Args:
        walk: Reads slices from the first one on, as it is iterated over.
        slices: How many to read.

    Returns:
        Holders as the result document has them, the fastest growing first, each with the name of the
        container, its module's file and its place for whoever looks for the line (each may be None).
    """
    before = take_census()
    deque(itertools.islice(walk(), slices), maxlen=0)
    gc.collect()
    # One more is what anything may have; every tenth slice is the rarest leak that is looked for.
    least = max(2, slices // 10)
    grown: list[tuple[int, Any]] = []
    mine = {id(before.sizes), id(before.types), id(before.__dict__)}
    objects = gc.get_objects()
    # A dictionary comes once for each that refers to it.
    for thing in {id(thing): thing for thing in (*objects, *_untracked(objects))}.values():
        old = before.sizes.get(id(thing))
        if old is None or id(thing) in mine:
            continue
        size = _size_of(thing)
        if size is not None and size - old >= least:
            grown.append((size - old, thing))
    del objects, thing
    grown.sort(key=lambda pair: -pair[0])
    holders: list[dict[str, Any]] = []
    for growth, thing in grown[: 2 * MOST_HOLDERS]:
        path = path_to(thing)
        if path is None or any(path.place == other["place"] for other in holders):
            # The dictionary inside a cache stands under the cache's name.
            continue
        unit = (
            "entry"
            if isinstance(thing, functools._lru_cache_wrapper)
            else "key"
            if type(thing) is dict
            else "item"
        )
        holders.append(
            {
                "path": path.words,
                "growth_per_iteration": round(growth / slices, 2),
                "unit": unit,
                "name": path.name,
                "file": path.file,
                "place": path.place,
            }
        )
        if len(holders) == MOST_HOLDERS:
            break
    del grown
    return holders or _chains(before, slices)


def _chains(before: Census, slices: int) -> list[dict[str, Any]]:
    """Where no container grows: objects that hold each other, by the type that multiplies."""
    objects = gc.get_objects()
    now = Counter(map(type, objects))
    more = [
        (count - before.types[kind], kind)
        for kind, count in now.items()
        if count - before.types[kind] >= slices
    ]
    more.sort(key=lambda pair: -pair[0])
    holders = []
    for growth, kind in more[:MOST_HOLDERS]:
        if kind in (types.FrameType, types.CellType):
            continue
        sample = next((o for o in objects if type(o) is kind and id(o) not in before.ids), None)
        path = path_to(sample, skip=objects) if sample is not None else None
        holders.append(
            {
                "path": path.words
                if path is not None
                else f"objects of type `{kind.__module__}.{kind.__qualname__}`",
                "growth_per_iteration": round(growth / slices, 2),
                "unit": f"`{kind.__qualname__}`",
                "name": None,
                "file": None,
                "place": None,
            }
        )
    return holders


@dataclass(frozen=True)
class RootPath:
    """The way from a root to an object.

    Attributes:
        words: ``module train: list `trainer.history```.
        place: The same without the kind of the object.
        name: The name nearest to the object (``history``), or None.
        file: The file of the module at the root, or None.
    """

    words: str
    place: str
    name: str | None
    file: str | None


@dataclass(frozen=True)
class _Hop:
    """An object on the way, and the hop from it towards the held one; None for the held one itself."""

    thing: Any
    towards: _Hop | None

    @property
    def length(self) -> int:
        return 0 if self.towards is None else 1 + self.towards.length


def path_to(thing: Any, *, skip: Any = None) -> RootPath | None:
    """The shortest path from a module to an object.

    Args:
        thing: The object.
        skip: A list of ours that refers to it and is no holder.
    """
    modules = {id(vars(m)): m for m in list(sys.modules.values()) if isinstance(m, types.ModuleType)}
    queue: deque[_Hop] = deque([_Hop(thing, None)])
    seen = {id(thing), id(skip), id(queue), id(modules)}
    for _ in range(_MOST_LOOKS):
        if not queue:
            return None
        hop = queue.popleft()
        if hop.length >= _DEEPEST:
            continue
        for referrer in gc.get_referrers(hop.thing):
            if id(referrer) in seen or isinstance(referrer, (types.FrameType, types.GeneratorType, _Hop)):
                continue
            seen.add(id(referrer))
            # Our own local names are no holders either.
            if isinstance(referrer, dict) and referrer.get("towards") is hop:
                continue
            module = modules.get(id(referrer))
            if module is not None:
                return _describe(module, _Hop(referrer, hop))
            queue.append(_Hop(referrer, hop))
    return None


def _describe(module: types.ModuleType, root: _Hop) -> RootPath:
    """The path in words, from the module's dictionary down to the held object."""
    text, nearest = "", None
    # A key may be somebody's data; one that stands in the code is not.
    known = string_constants(getattr(module, "__file__", None) or "")
    hop: _Hop | None = root
    while hop is not None and hop.towards is not None:
        label, name, hop = _step(hop, first=hop is root, known=known)
        text += label
        nearest = name or nearest
    held = root
    while held.towards is not None:
        held = held.towards
    where = f" `{text}`" if text else ""
    return RootPath(
        f"module {module.__name__}: {_kind(held.thing)}{where}",
        f"{module.__name__}{where}",
        nearest,
        getattr(module, "__file__", None),
    )


def _step(hop: _Hop, *, first: bool, known: frozenset[str]) -> tuple[str, str | None, _Hop]:
    """What one or more hops are called: the label, the bare name if there is one, and where they lead."""
    assert hop.towards is not None
    holder, target, rest = hop.thing, hop.towards.thing, hop.towards
    if isinstance(holder, dict):
        key = next((k for k, v in list(holder.items()) if v is target), None)
        if first:
            return str(key), str(key), rest
        return f"[{key!r:.40}]" if key in known else "[a key]", None, rest
    if isinstance(holder, types.FunctionType):
        if target is holder.__closure__ and rest.towards is not None and rest.towards.towards is not None:
            cell = rest.towards.thing
            index = next((i for i, c in enumerate(holder.__closure__ or ()) if c is cell), None)
            if index is not None:
                name = holder.__code__.co_freevars[index]
                return f", closure variable {name}", name, rest.towards.towards
        return ", a default or attribute", None, rest
    if isinstance(holder, (list, tuple, set, frozenset, deque)):
        return "[…]", None, rest
    attributes = getattr(holder, "__dict__", None)
    if attributes is target and rest.towards is not None and isinstance(target, dict):
        # Up to Python 3.10, and where somebody asked for it, an object's attributes are a dictionary.
        key = next((k for k, v in list(target.items()) if v is rest.towards.thing), None)
        return f".{key}", str(key), rest.towards
    names = list(attributes or ()) if isinstance(attributes, dict) else []
    for kind in type(holder).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    for name in names:
        if getattr(holder, name, None) is target:
            return f".{name}", str(name), rest
    return "", None, rest


def _kind(thing: Any) -> str:
    if isinstance(thing, functools._lru_cache_wrapper):
        limit = thing.cache_info().maxsize
        return f"lru_cache ({'unbounded' if limit is None else f'maxsize={limit}'})"
    return type(thing).__name__
