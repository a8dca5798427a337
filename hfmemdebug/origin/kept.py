"""What holds a leak that no container is seen to grow by: the objects that its lines have made are asked one by one.

They come too seldom, hold each other in a chain, or hang on something that has no length.
"""

from __future__ import annotations

import gc
import itertools
import re
import sys
import tracemalloc
import types
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from hfmemdebug.origin.bounds import Bound, bound_of, bound_of_name
from hfmemdebug.origin.containers import size_of, unit_of, whatever_is_safe
from hfmemdebug.origin.holders import Holder, holder_document, take_census
from hfmemdebug.origin.paths import RootPath, path_to
from hfmemdebug.origin.sites import FRAMES, collector_runs, place_of

# What they refer to is many times as much.
_AT_A_TIME = 10_000
# So many of them, and this share, lie in a container, or it is not what holds them.
FEWEST, MOSTLY = 8, 0.9
# Of so many of them the referrers are looked at.
_MOST_ASKED = 100
# A text in a tuple in an object's dictionary, and that object.
_MOST_OWNERS = 4

# The first name on the way from a module.
_NAMED = re.compile(r"^module \S+ `(\w+)")

Place = tuple[str, int]


def find_keepers(walk: Callable[[], Iterator[None]], slices: int, places: Collection[Place]) -> list[Holder]:
    """Reads slices once more and finds who holds what some lines make in them.

    Args:
        walk: Reads slices from the first one on, as it is iterated over.
        slices: How many to read.
        places: Files and lines that make what stays, as `place_of` tells them.

    Returns:
        The container that most of it is in, or the path to one of the objects; as `find_holders` has them. Nothing
        where Python does not know who holds it: a C library, or a reference that was never given back.
    """
    census = take_census()
    before = census.sizes
    made = _heaviest(_made_at(walk, slices, places))
    asked = made[:_MOST_ASKED]
    skip = (made, asked)
    inside: Counter[int] = Counter()
    grown: dict[int, tuple[Any, int]] = {}
    for referrer in gc.get_referrers(*asked) if asked else ():
        size, old = size_of(referrer), before.get(id(referrer))
        if size is not None and old is not None and size > old:
            grown[id(referrer)] = referrer, size - old
            inside[id(referrer)] = size - old
    for key, _ in inside.most_common():
        container, growth = grown[key]
        held = path_to(container, skip=skip)
        if held is not None:
            return [holder_document(_with_bound(container, held), growth / slices, unit_of(container), held)]
    for things in _owned_and_owners(asked, census.ids, skip):
        for container in gc.get_referrers(*things):
            holder = _that_holds_all(container, things, before, (*skip, things))
            if holder is not None:
                words, held = holder
                return [holder_document(words, len(made) / slices, unit_of(container), held)]
    # Of a chain, one end is next to the root; and what holds the other end as well holds all of it.
    ends = {0, len(made) // 2, len(made) - 1} if made else set()
    paths = [(made[i], path) for i in ends if (path := path_to(made[i], skip=skip)) is not None]
    if not paths:
        return []
    (most, _), *_ = Counter(path.place for _, path in paths).most_common(1)
    thing, path = next(each for each in paths if each[1].place == most)
    bounded = _bounded_around(thing, path, skip)
    if bounded is not None:
        container, held = bounded
        return [holder_document(_with_bound(container, held), len(made) / slices, unit_of(container), held)]
    named = _NAMED.search(path.place)
    bound = bound_of_name(named[1], path.file) if named is not None else None
    words = path.words + (bound.words if bound is not None else "")
    return [holder_document(words, len(made) / slices, f"`{type(made[0]).__qualname__}`", path)]


def _owned_and_owners(things: list[Any], known: Collection[int], skip: Sequence[Any]) -> Iterator[list[Any]]:
    """The things, then the new objects that each of them is an attribute or an item of, and so on."""
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
) -> tuple[str, RootPath] | None:
    """A container without a longer life or length, and its path: one that is made anew, or had places free for them."""
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
    held = path_to(container, skip=(*skip, values)) if old is None or has_room else None
    if held is None:
        return None
    if has_room:
        return held.words + Bound(size, "", None).words, held
    return _with_bound(container, held), held


def _with_bound(container: Any, path: RootPath) -> str:
    bound = bound_of(container, path)
    return path.words + (bound.words if bound is not None else "")


def _bounded_around(thing: Any, path: RootPath, skip: Sequence[Any]) -> tuple[Any, RootPath] | None:
    """The container with a bound that a thing is in, and its path: one made anew at each slice shows no growth."""
    if not path.place.endswith("]`"):
        return None
    around = path.place[: path.place.rindex("[")] + "`"
    ours = {id(each) for each in skip}
    owners = [o for o in gc.get_referrers(thing) if size_of(o) is not None and id(o) not in ours]
    for owner in owners:
        held = path_to(owner, skip=(*skip, owners))
        if held is not None and held.place == around and bound_of(owner, held) is not None:
            return owner, held
    return None


def _heaviest(things: list[Any]) -> list[Any]:
    """Those of the type that takes most: a line makes other things on its way."""
    bytes_of: Counter[type] = Counter()
    for thing in things:
        bytes_of[type(thing)] += sys.getsizeof(thing)
    kind = max(bytes_of, key=bytes_of.__getitem__, default=None)
    return [thing for thing in things if type(thing) is kind]


def _made_at(walk: Callable[[], Iterator[None]], slices: int, places: Collection[Place]) -> list[Any]:
    """What the lines have made in some slices and is still there, about in the order in which it was made."""
    tracemalloc.start(FRAMES)
    try:
        deque(itertools.islice(walk(), slices), maxlen=0)
        if collector_runs():
            gc.collect()
        objects, _ = whatever_is_safe()
        found: dict[int, Any] = {}
        for start in range(0, len(objects), _AT_A_TIME):
            some = objects[start : start + _AT_A_TIME]
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
