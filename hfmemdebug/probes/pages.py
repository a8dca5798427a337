"""Asks the kernel to take pages of mapped files back, and measures if it did.

``MADV_PAGEOUT`` (Linux 5.4) writes back what is dirty and frees what is clean: safe on any file mapping.
It returns success and does nothing on files that the process neither owns nor may write, and on pages
that another process maps too, so that only ``mincore`` tells if anything was freed. (cachestat(2), Linux 6.5, is
80 times faster, and would be a second way beside it: most kernels in use are older.)
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
# The same numbers on every architecture (asm-generic/unistd.h).
_PIDFD_OPEN = 434
_PROCESS_MADVISE = 440
# process_madvise takes at most UIO_MAXIOV ranges at once.
_MOST_RANGES = 1024


class _Range(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


@functools.cache
def _libc() -> ctypes.CDLL:
    # Kept: each new one leaves a class behind, in a cycle that only the collector frees.
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def write_back(path: str) -> None:
    """Has what was written to a file only just now written to the disk: the kernel takes only such pages back.

    Raises:
        OSError: The file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop_cached(path: str) -> None:
    """Has a file's pages written back and dropped from the page cache; those that a process has mapped stay.

    Raises:
        OSError: The file cannot be opened.
    """
    write_back(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def advise(mappings: Sequence[Mapping], advice: int) -> str | None:
    """Gives one advice on mappings of this process.

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


def page_out(pid: int, ranges: Sequence[tuple[int, int]]) -> str | None:
    """Has pages of another process taken back, by process_madvise(2).

    Args:
        pid: The process.
        ranges: Addresses, start and end of each mapping.

    Returns:
        None where the kernel accepted it; else why not.
    """
    libc = _libc()
    fd = libc.syscall(_PIDFD_OPEN, pid, 0)
    if fd < 0:
        return os.strerror(ctypes.get_errno())
    try:
        for start in range(0, len(ranges), _MOST_RANGES):
            part = ranges[start : start + _MOST_RANGES]
            vector = (_Range * len(part))(*(_Range(a, b - a) for a, b in part))
            count = ctypes.c_size_t(len(part))
            if libc.syscall(_PROCESS_MADVISE, fd, ctypes.byref(vector), count, MADV_PAGEOUT, 0) < 0:
                return os.strerror(ctypes.get_errno())
    finally:
        os.close(fd)
    return None


def cached_bytes(path: str) -> int | None:
    """Measures how much of a file is in the page cache, by ``mincore`` on a mapping that is never touched.

    Returns:
        Bytes; None where the file may not be opened.
    """
    import numpy

    try:
        size = os.stat(path).st_size
        mapped = numpy.memmap(path, numpy.uint8, "r") if size else numpy.empty(0, numpy.uint8)
    except OSError:
        return None
    page = os.sysconf("SC_PAGE_SIZE")
    there = numpy.zeros(-(-len(mapped) // page), numpy.uint8)
    address, length = ctypes.c_void_p(mapped.ctypes.data), ctypes.c_size_t(len(mapped))
    if len(mapped) and _libc().mincore(address, length, ctypes.c_void_p(there.ctypes.data)) != 0:
        return None
    # The lowest bit says that the page is there; the others are reserved.
    return int(numpy.count_nonzero(there & 1)) * page
