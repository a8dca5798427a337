"""Ends the sampling of a program: collects the garbage that waited, writes down caches and versions.

Runs on CPython 3.8 and later with the standard library alone.
"""

from __future__ import annotations

import gc
import os
import sys

# At the end the way to it is no longer there.
import _hfmemdebug_bounded  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

# The libraries' own caches have bounds of some hundred entries.
LEAST_ENTRIES, MOST_CACHES = 1000, 3


def collect_garbage(come: int | None, whole: bool) -> int:
    """Collects, and returns how many blocks were garbage that came with the work and waited for the collector.

    What imports leave behind is collected now too. Garbage of the work's are objects that have come since it began.
    What hangs on the one container with the most items has not waited: it was in use until the function returned
    that had it, as a trainer's history is where its callbacks refer to the trainer.

    Args:
        come: Objects that the collector looks after, more than as the work began.
        whole: Nothing grew, so what of it was in use does not matter: collecting once takes a third of the time.
    """
    before = sys.getallocatedblocks()
    store: Any = None
    if whole or gc.get_debug() or gc.garbage:
        found = gc.collect()
    else:
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            found = gc.collect()
        finally:
            gc.set_debug(0)
        store = _largest(gc.garbage)
        gc.garbage.clear()
        gc.collect()
    freed = before - sys.getallocatedblocks()
    if store is not None:
        store = None
        used = gc.collect()
        found -= used
        come = None if come is None else come - used
    if come is None or found <= 0:
        return freed
    return int(freed * min(1.0, max(come, 0) / found))


def _largest(objects: list[Any]) -> Any:
    """Returns the container with the most items."""
    from collections import deque

    largest, most = None, 0
    for kind in (dict, list, set, deque):
        for thing in objects:
            # By the type's own words: what an instance says of itself may run code of the program's.
            if issubclass(type(thing), kind) and kind.__len__(thing) > most:
                largest, most = thing, kind.__len__(thing)
    return largest


def unfilled_caches(script: str | None) -> list[list[Any]]:
    """Returns caches, deques and others with many entries and a bound that they have not reached.

    Of each: name, entries, bound, and how many blocks there are of an entry.

    Args:
        script: The file that is run as ``__main__``, or None.
    """
    import functools
    from collections import deque

    kind = type(functools.lru_cache(maxsize=None)(len))
    interval = sys.getswitchinterval()
    # A thread that fills a tuple meanwhile would get a SystemError where our list refers to it.
    sys.setswitchinterval(1.0)
    try:
        caches: list[Any] = [t for t in gc.get_objects() if type(t) is kind or type(t) is deque]
    finally:
        sys.setswitchinterval(interval)
    found, told = _hfmemdebug_bounded.partially_filled(LEAST_ENTRIES, script)
    for cache in caches:
        if id(cache) in told:
            # It is one of many.
            continue
        if type(cache) is deque:
            entries, bound = len(cache), cache.maxlen
            if bound is not None and LEAST_ENTRIES <= entries < bound:
                blocks = _hfmemdebug_bounded.blocks_an_entry(cache, entries)
                found.append(["deque (maxlen=%d)%s" % (bound, _name_of(cache)), entries, bound, blocks])
            continue
        info = cache.cache_info()
        if info.maxsize is not None and LEAST_ENTRIES <= info.currsize < info.maxsize:
            name = getattr(cache, "__qualname__", None) or "?"
            blocks = _hfmemdebug_bounded.blocks_an_entry(cache, info.currsize)
            words = "lru_cache (maxsize=%d) `%s`" % (info.maxsize, name)
            found.append([words, info.currsize, info.maxsize, blocks])
    return sorted(found, key=lambda cache: -cache[1])[:MOST_CACHES]


def _name_of(thing: Any) -> str:
    """Returns the name that it has in a module; nothing where it has none."""
    for module in list(sys.modules.values()):
        # A module that is not loaded before it is asked for something is of another type.
        for name, value in list(vars(module).items()) if type(module) is type(sys) else ():
            if value is thing:
                return " `%s`" % name
    return ""


def bounded_variables(running: Collection[tuple[str, str, int]], script: str | None) -> list[list[Any]]:
    """Returns what functions that have returned have bounded, where it is large enough to matter: what, and how many.

    Args:
        running: Functions that ran shortly before: file, name and first line.
        script: As above.
    """
    return list(_hfmemdebug_bounded.variables(LEAST_ENTRIES, running, script))


def values_to_cut(script: str | None) -> list[list[Any]]:
    """Returns texts and arrays that the code cuts to a length above theirs: what, bytes, bytes at most.

    Args:
        script: As above.
    """
    return list(_hfmemdebug_bounded.values_to_cut(script))


def returned_values(
    running: Collection[tuple[str, str, int]], script: str | None, size: int
) -> list[list[Any]]:
    """Returns texts and arrays that functions have cut and given back: what, bytes given back, and what it has cut to.

    Of that there are the bytes at least and at most: it is not known any more what a letter or a row took.

    Args:
        running: As above.
        script: As above.
        size: Those bytes.
    """
    found = _hfmemdebug_bounded.returned_values(running, script)
    return [[words, size, length, length * each] for words, length, each in found]


def write_versions(folder: str, found: dict[str, list[list[Any]]]) -> None:
    """Writes what the program ran on, which may be another environment than hfmemdebug's, and what was found."""
    # Not before the end: its import takes as long as a fifth of all that is done at the start.
    import json

    lines = {"Python version": sys.version.split()[0]}
    for name in (
        "datasets",
        "pyarrow",
        "torch",
        "numpy",
        "transformers",
        "huggingface_hub",
        "pandas",
        "fsspec",
    ):
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            lines["%s version" % name] = str(version)
    path = os.path.join(folder, "%d.json" % os.getpid())
    with open(path, "w") as file:
        json.dump({"versions": lines, **found}, file)
