"""Enumerates what can grow, as the cycle collector or what it tracks leads to it, and weighs what is in it.

An object that another thread is filling must not be referred to: CPython resizes a tuple in place only while it has
one reference, and raises SystemError in that thread otherwise. So the lists of all objects are gone through within
one call of C code each, which keeps the interpreter to itself.

`run --trace` takes this module into the program that it watches: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import functools
import gc
import itertools
import operator
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, compress, repeat
from typing import Any

from ..leak import Pins

# Objects of which at once is asked what they refer to, which is many times as much.
AT_A_TIME = 10_000
# So many of the newest items are looked at, and what is in them.
_ITEMS = 5
_DEEPEST = 3
# Less than this is nothing to copy for.
LEAST_HELD = 4096
# A view that uses more of what it holds pins nothing that is worth a word.
MOST_USED = 0.25
# A place in a container's own table, at most.
_PLACE = 104
_PLAIN = (int, float, complex, bool, str, bytes, type(None))

# By the base type's own length: a subclass may have a __len__ that does anything.
_LENGTHS: tuple[tuple[type, Callable[[Any], int]], ...] = (
    (dict, dict.__len__),
    (list, list.__len__),
    (set, set.__len__),
    (deque, deque.__len__),
)


def untracked(objects: list[Any]) -> Iterator[dict[Any, Any]]:
    """Yields dictionaries that hold numbers and strings alone, which the collector does not track (up to 3.13).

    One comes once for each object that refers to it.
    """
    for start in range(0, len(objects), AT_A_TIME):
        for thing in gc.get_referents(*objects[start : start + AT_A_TIME]):
            if type(thing) is dict and not gc.is_tracked(thing):
                yield thing


def of_a_running_program() -> tuple[list[Any], list[dict[Any, Any]]]:
    """Returns what the collector looks after while other threads go on, without tuples, and dictionaries in tuples.

    A tuple may not be referred to by other code until it has its length: a thread that was about to give it one,
    as in ``tuple(x for x in …)``, would get a SystemError. So no other thread runs while there is a reference to all
    tuples: each `list` here begins and ends within one call of C code, with all that it goes over.
    """
    others = _those(map(gc.get_objects, [None]), tuple, others=True)
    tuples = _those(map(gc.get_objects, [None]), tuple)
    return list(others), list(_those(map(gc.get_referents, tuples), dict))


def all_objects() -> tuple[list[Any], list[dict[Any, Any]]]:
    """Returns the same, with tuples where no other thread runs."""
    return (gc.get_objects(), []) if len(sys._current_frames()) == 1 else of_a_running_program()


def count_types() -> Counter[type]:
    """Counts the objects of each type, tuples too: they are gone through within one call of C code."""
    return Counter(_of_each(type))


def identities() -> frozenset[int]:
    """Returns the identities of all objects, in the same way."""
    return frozenset(_of_each(id))


def _of_each(function: Callable[[Any], Any]) -> Iterator[Any]:
    """Asks a function of C's about each object; to be gone through within one call of C code as well."""
    return chain.from_iterable(map(partial(map, function), map(gc.get_objects, [None])))


def _those(lists: Iterator[list[Any]], kind: type, *, others: bool = False) -> Iterator[Any]:
    """Returns what in some lists is of a type, or is not.

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
    """Returns how much is in a container or a cache; None for what is neither."""
    kind = type(thing)
    for base, length in _LENGTHS:
        if issubclass(kind, base):
            return length(thing)
    return int(thing.cache_info().currsize) if kind is functools._lru_cache_wrapper else None


def unit_of(thing: Any) -> str:
    """Returns what a container holds, in a word."""
    kind = type(thing)
    return "entry" if kind is functools._lru_cache_wrapper else "key" if issubclass(kind, dict) else "item"


def weight_of(container: Any) -> float:
    """Estimates how many bytes an item of a container holds, by the newest of them."""
    weights = [sum(_bytes_in(item)) for item in _newest(container)]
    return sum(weights) / len(weights) if weights else 1.0


def plain_weight_of(container: Any) -> float | None:
    """Returns the same where its newest items are numbers and texts, which hold nothing else; else None."""
    newest = dict.items(container) if isinstance(container, dict) else None
    items = _newest(container) if newest is None else itertools.islice(reversed(newest), _ITEMS)
    weights = [_plain_bytes(item, _DEEPEST) for item in items]
    known = [weight for weight in weights if weight is not None]
    return _PLACE + sum(known) / len(known) if known and len(known) == len(weights) else None


def _plain_bytes(item: Any, depth: int) -> int | None:
    kind = type(item)
    if kind in _PLAIN:
        return sys.getsizeof(item)
    if kind not in (tuple, list) or depth == 0:
        return None
    inside = [_plain_bytes(each, depth - 1) for each in item]
    known = [size for size in inside if size is not None]
    return sys.getsizeof(item) + sum(known) if len(known) == len(inside) else None


def retained_by_views(container: Any, growth: int) -> Pins | None:
    """Returns what the newest items use of what they hold, where that is little; None where it is not.

    On average of those that pin something. Items that share what they hold pin it once, which is no leak.
    """
    views = [view for item in itertools.islice(_newest(container), growth) for view in _views(item, _DEEPEST)]
    if not views:
        return None
    owners = {owner: held for _, _, held, owner in views}
    used = sum(size for _, size, _, _ in views)
    held = sum(owners.values())
    if held < LEAST_HELD * len(views) or used > MOST_USED * held:
        return None
    return Pins(views[0][0], used // len(views), held // len(views))


def _newest(container: Any) -> Iterator[Any]:
    """Returns the items that were put in last; of what has no order, none."""
    if isinstance(container, dict):
        return itertools.islice(reversed(dict.values(container)), _ITEMS)
    if isinstance(container, list):
        return iter(list.__getitem__(container, slice(-_ITEMS, None)))
    if isinstance(container, deque):
        return itertools.islice(deque.__reversed__(container), _ITEMS)
    if isinstance(container, set):
        return itertools.islice(set.__iter__(container), _ITEMS)
    return iter(())


def _inside(thing: Any) -> Iterator[Any]:
    kind = type(thing)
    if kind is dict:
        return itertools.islice(thing.values(), _ITEMS)
    if kind in (list, tuple, set, frozenset):
        return itertools.islice(thing, _ITEMS)
    attributes = getattr(thing, "__dict__", None) if kind.__module__ != "builtins" else None
    return itertools.islice(attributes.values(), _ITEMS) if type(attributes) is dict else iter(())


def _bytes_in(thing: Any, depth: int = _DEEPEST) -> Iterator[int]:
    view = _view(thing)
    if view is not None:
        yield view[2]
        return
    yield sys.getsizeof(thing, 64)
    if depth:
        for part in _inside(thing):
            yield from _bytes_in(part, depth - 1)


def _views(thing: Any, depth: int) -> Iterator[tuple[str, int, int, int]]:
    view = _view(thing)
    if view is not None:
        yield view
    elif depth:
        for part in _inside(thing):
            yield from _views(part, depth - 1)


def _view(thing: Any) -> tuple[str, int, int, int] | None:
    """Returns of an array, a table or a view its kind, the bytes that it uses and holds, and whose they are."""
    kind = type(thing)
    try:
        if kind is memoryview:
            return "memoryview", thing.nbytes, memoryview(thing.obj).nbytes, id(thing.obj)
        library = kind.__module__.partition(".")[0]
        if library == "numpy" and kind.__name__ == "ndarray":
            return _array(thing)
        if library == "pyarrow" and hasattr(thing, "get_total_buffer_size"):
            return kind.__name__, thing.nbytes, thing.get_total_buffer_size(), id(thing)
        if library == "torch" and hasattr(thing, "untyped_storage"):
            storage = thing.untyped_storage()
            return (
                kind.__name__,
                thing.nelement() * thing.element_size(),
                storage.nbytes(),
                storage.data_ptr(),
            )
    except Exception:
        # Released, on another device, or of a version that has another way.
        return None
    return None


def _array(array: Any) -> tuple[str, int, int, int] | None:
    owner, base = array, array.base
    while type(base) is type(array):
        owner, base = base, base.base
    if base is None:
        return "ndarray", array.nbytes, owner.nbytes, id(owner)
    if type(base).__module__ == "mmap":
        # The pages of a mapped file are not memory of this process's own.
        return None
    try:
        return "ndarray", array.nbytes, memoryview(base).nbytes, id(base)
    except TypeError:
        return "ndarray", array.nbytes, owner.nbytes, id(owner)
