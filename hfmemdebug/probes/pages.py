"""Asking the kernel to take pages of a mapping back, and whether it did. Linux only.

``MADV_PAGEOUT`` (Linux 5.4) writes back what is dirty and frees what is clean: safe on any file mapping.
It returns success and does nothing on files that the process neither owns nor may write, and on pages
that another process maps too, so that only ``mincore`` tells whether anything was freed.
``MADV_DONTNEED`` unmaps alone and throws private copies of pages away: only for mappings without any.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Sequence

from hfmemdebug.probes.maps import Mapping

MADV_DONTNEED = 4
MADV_PAGEOUT = 21


def drop_cached(path: str) -> None:
    """Has a file's pages dropped from the page cache; those that a process has mapped stay.

    What was written only just now is written to disk first, since the kernel keeps it otherwise.

    Raises:
        OSError: The file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


@functools.cache
def _libc() -> ctypes.CDLL:
    # Kept: each new one leaves a class behind, in a cycle that only the collector frees.
    return ctypes.CDLL(None, use_errno=True)


def advise(mappings: Sequence[Mapping], advice: int) -> str | None:
    """Gives one advice on all the mappings.

    Mappings with private copies of pages are left alone, and by what discards pages also those where
    another thread could make one meanwhile: nothing that only memory holds is thrown away.

    Returns:
        None where the kernel accepted it; else why not.
    """
    libc = _libc()
    for mapping in mappings:
        if not mapping.clean or (advice == MADV_DONTNEED and mapping.may_hold_copies):
            continue
        length = ctypes.c_size_t(mapping.end - mapping.start)
        if libc.madvise(ctypes.c_void_p(mapping.start), length, advice) != 0:
            return os.strerror(ctypes.get_errno())
    return None


def cached_bytes(mappings: Sequence[Mapping]) -> int | None:
    """Bytes of the mappings that are in memory, in this process or only in the page cache.

    Uses ``mincore``, which counts the page cache; None where it is not to be had.
    """
    libc = _libc()
    page = os.sysconf("SC_PAGE_SIZE")
    resident = 0
    for mapping in mappings:
        length = mapping.end - mapping.start
        vector = (ctypes.c_ubyte * (length // page))()
        if libc.mincore(ctypes.c_void_p(mapping.start), ctypes.c_size_t(length), vector) != 0:
            return None
        data = bytes(vector)
        # The lowest bit says whether the page is there; the others are reserved.
        resident += sum(data.count(value) for value in set(data) if value & 1) * page
    return resident
