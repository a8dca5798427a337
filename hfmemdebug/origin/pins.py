"""How much memory the items of a container really hold: a view of eight bytes pins all that it was cut from."""

from __future__ import annotations

import itertools
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

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


def weight_of(container: Any) -> float:
    """About how many bytes an item of a container holds, by the newest of them."""
    weights = [sum(_bytes_in(item)) for item in _newest(container)]
    return sum(weights) / len(weights) if weights else 1.0


def plain_weight_of(container: Any) -> float | None:
    """The same where its newest items are numbers and texts, which hold nothing else; None where they are not."""
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


def pinned_by(container: Any, growth: int) -> dict[str, Any] | None:
    """What the newest items use of what they hold, where that is little.

    Returns:
        ``{kind, used_bytes, held_bytes}``, on average of those that pin something, or None. Items that share
        what they hold pin it once, which is no leak.
    """
    views = [view for item in itertools.islice(_newest(container), growth) for view in _views(item, _DEEPEST)]
    if not views:
        return None
    owners = {owner: held for _, _, held, owner in views}
    used = sum(size for _, size, _, _ in views)
    held = sum(owners.values())
    if held < LEAST_HELD * len(views) or used > MOST_USED * held:
        return None
    return {"kind": views[0][0], "used_bytes": used // len(views), "held_bytes": held // len(views)}


def _newest(container: Any) -> Iterator[Any]:
    """The items that were put in last; of what has no order, none."""
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
    """An array, a table or a view: its kind, the bytes that it uses and holds, and whose they are."""
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
