"""What holds a leak that no container is seen to grow by: the objects that its lines have made are asked one by one.

They come too seldom, hold each other in a chain, or hang on something that has no length.
"""

from __future__ import annotations

import gc
import itertools
import sys
import tracemalloc
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from typing import Any

from hfmemdebug.origin.containers import size_of, unit_of, whatever_is_safe
from hfmemdebug.origin.holders import Holder, holder_document, take_census
from hfmemdebug.origin.paths import path_to
from hfmemdebug.origin.sites import FRAMES, collector_runs, place_of

# What they refer to is many times as much.
_AT_A_TIME = 10_000
# Of so many of them the referrers are looked at.
_MOST_ASKED = 100

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
    before = take_census().sizes
    made = _heaviest(_made_at(walk, slices, places))
    inside: Counter[int] = Counter()
    grown: dict[int, tuple[Any, int]] = {}
    asked = made[:_MOST_ASKED]
    for referrer in gc.get_referrers(*asked) if asked else ():
        size, old = size_of(referrer), before.get(id(referrer))
        if size is not None and old is not None and size > old:
            grown[id(referrer)] = referrer, size - old
            inside[id(referrer)] = size - old
    for key, _ in inside.most_common():
        container, growth = grown[key]
        held = path_to(container, skip=(made, asked))
        if held is not None:
            return [holder_document(held.words, growth / slices, unit_of(container), held)]
    # Of a chain, one end is next to the root; and what holds the other end as well holds all of it.
    ends = {0, len(made) // 2, len(made) - 1} if made else set()
    paths = [path for i in ends if (path := path_to(made[i], skip=(made, asked))) is not None]
    if not paths:
        return []
    (most, _), *_ = Counter(path.place for path in paths).most_common(1)
    path = next(path for path in paths if path.place == most)
    return [holder_document(path.words, len(made) / slices, f"`{type(made[0]).__qualname__}`", path)]


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
