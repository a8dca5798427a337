"""Finds what keeps a leak that no container is seen to grow by: the objects that its lines made are asked themselves.

Slices are read once more under tracemalloc, and the objects that the leaking lines made and that are still there are
asked for their referrers (`gc.get_referrers`, a pass over all objects). Tried in this order:

1. a container that refers to them and has more in it than before;
2. one that refers to nearly all of them and is made anew at each slice, or had free places: a ring, ``[None] * n``;
   also of their owners, level by level: a text in a tuple in an object's dictionary, and that object;
3. the path to one of the objects. Of a chain, one end is next to the root; what holds the other end as well holds all.

Nothing is found where Python does not know who holds it: a C library, or a reference that was never given back.
"""

from __future__ import annotations

import dataclasses
import gc
import itertools
import sys
import tracemalloc
import types
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from ..inject._hfmemdebug_common import collector_runs
from ..leak import ENTRIES, Bound, Holder, RootPath
from .bounds import bound_of, bound_of_value
from .containers import AT_A_TIME, all_objects, size_of
from .holders import container_holder, take_census
from .paths import path_to
from .sites import FRAMES, place_of

# So many of them, and this share, lie in a container, or it is not what holds them.
FEWEST, MOSTLY = 8, 0.9
# Of so many of them the referrers are looked at.
_MOST_ASKED = 100
# A text in a tuple in an object's dictionary, and that object.
_MOST_OWNERS = 4

Place = tuple[str, int]


def find_referrers(
    walk: Callable[[], Iterator[None]], slices: int, places: Collection[Place]
) -> list[Holder]:
    """Reads slices once more and finds what holds what some lines make in them.

    Args:
        walk: Reads slices from the first one on, as it is iterated over.
        slices: How many to read.
        places: Files and lines that make what stays, as `place_of` tells them.

    Returns:
        The container that most of it is in, or the path to one of the objects; nothing where there is none.
    """
    census = take_census()
    made = _heaviest(_made_at(walk, slices, places))
    asked = made[:_MOST_ASKED]
    skip = (made, asked)
    found = _grown(asked, census.sizes, slices, skip)
    if found is not None:
        return [found]
    for things in _owned_and_owners(asked, census.ids, skip):
        for container in gc.get_referrers(*things):
            holder = _that_holds_all(container, things, census.sizes, (*skip, things))
            if holder is not None:
                return [dataclasses.replace(holder, growth_per_iteration=round(len(made) / slices, 2))]
    # Of a chain, one end is next to the root; and what holds the other end as well holds all of it.
    ends = {0, len(made) // 2, len(made) - 1} if made else set()
    paths = [(made[i], path) for i in ends if (path := path_to(made[i], skip=skip)) is not None]
    if not paths:
        return []
    (most, _), *_ = Counter(path.place for _, path in paths).most_common(1)
    thing, path = next(each for each in paths if each[1].place == most)
    bounded = _bounded_around(thing, path, skip)
    if bounded is not None:
        container, at = bounded
        return [container_holder(container, at, len(made) / slices)]
    bound = bound_of_value(path.steps[:1], path.file) if path.root.kind == "module" else None
    kind = type(made[0]).__qualname__
    return [Holder("chain", round(len(made) / slices, 2), kind, path, bound=bound)]


def _grown(
    asked: Sequence[Any], before: Mapping[int, int], slices: int, skip: Sequence[Any]
) -> Holder | None:
    """Returns the container that refers to some of them and has grown the most."""
    inside: Counter[int] = Counter()
    grown: dict[int, Any] = {}
    for referrer in gc.get_referrers(*asked) if asked else ():
        size, old = size_of(referrer), before.get(id(referrer))
        if size is not None and old is not None and size > old:
            grown[id(referrer)] = referrer
            inside[id(referrer)] = size - old
    for key, growth in inside.most_common():
        at = path_to(grown[key], skip=(*skip, grown))
        if at is not None:
            return container_holder(grown[key], at, growth / slices)
    return None


def _owned_and_owners(things: list[Any], known: Collection[int], skip: Sequence[Any]) -> Iterator[list[Any]]:
    """Yields the things, then the new objects that each of them is an attribute or an item of, and so on."""
    ours = {id(each) for each in skip}
    for _ in range(_MOST_OWNERS):
        if not things:
            return
        yield things
        ours.add(id(things))
        owners = [
            each
            for each in gc.get_referrers(*things)
            if id(each) not in ours and id(each) not in known and not issubclass(type(each), types.FrameType)
        ]
        things = owners[:_MOST_ASKED] if len(owners) >= MOSTLY * len(things) else []


def _that_holds_all(
    container: Any, things: list[Any], before: Mapping[int, int], skip: Sequence[Any]
) -> Holder | None:
    """Makes the holder of a container that is made anew, or had free places for what it holds; else None."""
    if any(container is each for each in skip):
        return None
    # By the type: a proxy's `__class__` is its own code.
    if issubclass(type(container), list):
        values = list.copy(container)
    elif issubclass(type(container), dict):
        values = list(dict.values(container))
    else:
        return None
    ours = {id(thing) for thing in things}
    if not FEWEST <= sum(id(value) in ours for value in values) >= MOSTLY * len(things):
        return None
    old, size = before.get(id(container)), len(values)
    has_room = old == size and any(value is None for value in values)
    at = path_to(container, skip=(*skip, values)) if old is None or has_room else None
    if at is None:
        return None
    holder = container_holder(container, at, 0.0)
    return dataclasses.replace(holder, bound=Bound(size)) if has_room else holder


def _bounded_around(thing: Any, path: RootPath, skip: Sequence[Any]) -> tuple[Any, RootPath] | None:
    """Returns the container with a bound that a thing is in: one made anew at each slice shows no growth."""
    if not path.steps or path.steps[-1].kind not in ENTRIES:
        return None
    ours = {id(each) for each in skip}
    owners = [o for o in gc.get_referrers(thing) if size_of(o) is not None and id(o) not in ours]
    for owner in owners:
        held = path_to(owner, skip=(*skip, owners))
        if (
            held is not None
            and held.place == (path.root, path.steps[:-1])
            and bound_of(owner, held) is not None
        ):
            return owner, held
    return None


def _heaviest(things: list[Any]) -> list[Any]:
    """Returns those of the type that takes most: a line makes other things on its way."""
    bytes_of: Counter[type] = Counter()
    for thing in things:
        bytes_of[type(thing)] += sys.getsizeof(thing)
    kind = max(bytes_of, key=bytes_of.__getitem__, default=None)
    return [thing for thing in things if type(thing) is kind]


def _made_at(walk: Callable[[], Iterator[None]], slices: int, places: Collection[Place]) -> list[Any]:
    """Returns what the lines made in some slices and is still there, about in the order in which it was made."""
    tracemalloc.start(FRAMES)
    try:
        deque(itertools.islice(walk(), slices), maxlen=0)
        if collector_runs():
            gc.collect()
        objects, _ = all_objects()
        found: dict[int, Any] = {}
        for start in range(0, len(objects), AT_A_TIME):
            some = objects[start : start + AT_A_TIME]
            for thing in itertools.chain(some, gc.get_referents(*some)):
                made = tracemalloc.get_object_traceback(thing)
                if made is None or id(thing) in found:
                    continue
                frames = reversed([(frame.filename, frame.lineno) for frame in made])
                if place_of(frames)[0] in places:
                    found[id(thing)] = thing
    finally:
        tracemalloc.stop()
    return list(found.values())
