"""Reads what CPython's own allocator has in use: blocks at any time, bytes by size class at a price."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from hfmemdebug.inject._hfmemdebug_common import SIZE_CLASS, malloc_stats

_ARENAS = re.compile(r"^(\d+) arenas \* (\d+) bytes/arena", re.MULTILINE)


class PythonHeap(NamedTuple):
    """CPython's small-object allocator.

    Attributes:
        in_use: Bytes of its blocks that are in use, in the allocator's size classes.
        free: Bytes of its arenas that are not: it gives an arena back once there is nothing in it.
    """

    in_use: int
    free: int | None


def allocated_blocks() -> int | None:
    """Counts the blocks in use by CPython's allocators; None on other interpreters. 20 to 40 microseconds."""
    read = getattr(sys, "getallocatedblocks", None)
    return read() if read is not None else None


def clear_type_cache() -> None:
    """Empties CPython's cache of attribute lookups, where there is one; under ten microseconds.

    An entry holds the name that was looked up. Extension modules make their names anew for each lookup, and
    each of those takes another of the 4096 entries until addresses repeat: for hundreds of calls, a loop over
    files, tables or tensors seems to keep one or two strings a slice. CPython has the call for hunting leaks.
    """
    # The first came with 3.13, where it empties this cache too; the second is deprecated there.
    clear = getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache", None)
    if clear is not None:
        clear()


def parse_malloc_stats(text: str) -> PythonHeap | None:
    """Parses what small objects have in use, from the text of ``sys._debugmallocstats``.

    Returns:
        The sum over all size classes of block size times blocks in use, and the rest of the arenas; None where the
        text has no such table (another allocator: ``PYTHONMALLOC=malloc``, free-threaded builds).
    """
    classes, arenas = SIZE_CLASS.findall(text), _ARENAS.search(text)
    if not classes:
        return None
    in_use = sum(int(size) * int(used) for size, used in classes)
    return PythonHeap(in_use, int(arenas[1]) * int(arenas[2]) - in_use if arenas is not None else None)


def python_heap() -> PythonHeap | None:
    """Reads what CPython's small-object allocator has.

    About a millisecond for each 100 MB: for the ends of epochs. None on other interpreters.
    """
    text = malloc_stats()
    return parse_malloc_stats(text) if text is not None else None
