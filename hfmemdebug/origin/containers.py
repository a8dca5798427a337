"""What can grow: containers and caches, as the cycle collector or what it tracks leads to them.

`run --trace` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import functools
import gc
import operator
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, compress, repeat
from typing import Any

# What objects refer to is many times as much.
_AT_A_TIME = 10_000
# By the base type's own length: a subclass may have a __len__ that does anything.
_LENGTHS: tuple[tuple[type, Callable[[Any], int]], ...] = (
    (dict, dict.__len__),
    (list, list.__len__),
    (set, set.__len__),
    (deque, deque.__len__),
)


def untracked(objects: list[Any]) -> Iterator[dict[Any, Any]]:
    """Dictionaries that hold numbers and strings alone, which the collector does not track (up to 3.13).

    One comes once for each object that refers to it.
    """
    for start in range(0, len(objects), _AT_A_TIME):
        for thing in gc.get_referents(*objects[start : start + _AT_A_TIME]):
            if type(thing) is dict and not gc.is_tracked(thing):
                yield thing


def of_a_running_program() -> tuple[list[Any], list[dict[Any, Any]]]:
    """What the collector looks after while other threads go on, without tuples, and dictionaries in tuples.

    A tuple may not be referred to by anybody else until it has its length: a thread that was about to give it one,
    as in ``tuple(x for x in …)``, would get a SystemError. So no other thread runs while there is a reference to all
    tuples: each `list` here begins and ends within one call of C code, with all that it goes over.
    """
    others = _those(map(gc.get_objects, [None]), tuple, others=True)
    tuples = _those(map(gc.get_objects, [None]), tuple)
    return list(others), list(_those(map(gc.get_referents, tuples), dict))


def whatever_is_safe() -> tuple[list[Any], list[dict[Any, Any]]]:
    """The same, with tuples where no other thread runs."""
    return (gc.get_objects(), []) if len(sys._current_frames()) == 1 else of_a_running_program()


def count_types() -> Counter[type]:
    """How many objects there are of each type, tuples too: they are gone through within one call of C code."""
    return Counter(_of_each(type))


def identities() -> frozenset[int]:
    """Of all objects, in the same way."""
    return frozenset(_of_each(id))


def _of_each(function: Callable[[Any], Any]) -> Iterator[Any]:
    """What a function of C's says of each object; to be gone through within one call of C code as well."""
    return chain.from_iterable(map(partial(map, function), map(gc.get_objects, [None])))


def _those(lists: Iterator[list[Any]], kind: type, *, others: bool = False) -> Iterator[Any]:
    """What in some lists is of a type, or is not.

    Nothing of this may keep a list, once it was gone through: it is in the list of all objects itself, so that only
    the collector would let go of both.
    """
    twice = chain.from_iterable(map(repeat, lists, repeat(2)))
    kinds = map(partial(map, type), twice)
    comparison = operator.is_not if others else operator.is_
    chosen = map(partial(map, comparison), kinds, repeat(repeat(kind)))
    # It takes from the left first: the list, and then the list once more.
    return chain.from_iterable(map(compress, twice, chosen))


def size_of(thing: Any) -> int | None:
    """How much is in a container or a cache; None for what is neither."""
    kind = type(thing)
    for base, length in _LENGTHS:
        if issubclass(kind, base):
            return length(thing)
    return int(thing.cache_info().currsize) if kind is functools._lru_cache_wrapper else None


def unit_of(thing: Any) -> str:
    """What a container holds, in a word."""
    kind = type(thing)
    return "entry" if kind is functools._lru_cache_wrapper else "key" if issubclass(kind, dict) else "item"
