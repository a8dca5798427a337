"""Proof on a process that is not ours: asking the kernel to take its data files' pages back.

Only clean pages of files on a disk are asked for; the process reads them again when it wants them.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfmemdebug.probes import foreign
from hfmemdebug.probes.pages import MADV_PAGEOUT
from hfmemdebug.probes.smaps import FileMemory
from hfmemdebug.probes.status import parse_status
from hfmemdebug.supervise.files import is_data, memory_paths
from hfmemdebug.supervise.tree import TreeReading
from hfmemdebug.units import format_bytes

# The same numbers on every architecture (asm-generic/unistd.h).
_PIDFD_OPEN = 434
_PROCESS_MADVISE = 440
# process_madvise takes at most UIO_MAXIOV ranges at once.
_MOST_RANGES = 1024
_FREED_SHARE = 0.5


class _Range(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def reclaim(tree: TreeReading) -> dict[str, Any]:
    """Pages out the data files of every process of a tree.

    Returns:
        As `ArmSummary.reclaim`: ``asked_bytes``, ``rss_before``, ``rss_after`` (of the tree's root),
        ``freed_bytes`` (by the page cache of the files: a fall of RSS alone shows unmapping), ``how`` and
        ``why_not`` (None where it was proved).
    """
    report: dict[str, Any] = {
        "asked_bytes": 0,
        "rss_before": _rss(tree.root),
        "rss_after": None,
        "freed_bytes": None,
        "same_data": None,
        "how": "process_madvise(MADV_PAGEOUT)",
        "why_not": None,
    }
    refused: str | None = None
    asked: dict[str, int] = {}
    mapped_by: dict[str, int] = {}
    places: dict[str, str] = {}
    wanted: list[tuple[int, Sequence[tuple[int, int]]]] = []
    for process in tree.processes:
        is_memory = memory_paths(process.pid)
        try:
            files = foreign.read_smaps(process.pid, is_memory).files
        except OSError:
            continue
        for file in files:
            if not is_data(file) or is_memory(file.path) or file.memory.anonymous or file.memory.swap:
                continue
            asked[file.path] = max(asked.get(file.path, 0), file.memory.rss or 0)
            mapped_by[file.path] = mapped_by.get(file.path, 0) + 1
            places.setdefault(file.path, _place(process.pid, file))
            wanted.append((process.pid, file.ranges))
    report["asked_bytes"] = sum(asked.values())
    if not asked:
        report["why_not"] = "no process has a data file on a disk mapped"
        return report
    cached = {path: _cached(place) for path, place in places.items()}
    for pid, ranges in wanted:
        refused = _page_out(pid, ranges) or refused
    report["rss_after"] = _rss(tree.root)
    before = [value for value in cached.values() if value is not None]
    after = [value for path in cached if (value := _cached(places[path])) is not None]
    if before and len(before) == len(after):
        report["freed_bytes"] = min(max(sum(before) - sum(after), 0), report["asked_bytes"])
    if refused is not None:
        report["why_not"] = (
            f"the kernel does not take the request ({refused}); it wants CAP_SYS_NICE and Linux 5.10"
        )
    elif report["freed_bytes"] is None:
        report["why_not"] = (
            "the page cache of these files may not be looked at, so that nothing shows what was freed"
        )
    elif report["freed_bytes"] < _FREED_SHARE * report["asked_bytes"]:
        shared = max(mapped_by.values())
        why = (
            f"{shared} processes map the same files, and the kernel pages out only what one alone maps"
            if shared > 1
            else "another process may map the same files, or they are not yet written to the disk"
        )
        report["why_not"] = (
            f"the kernel freed {format_bytes(report['freed_bytes'])} of {format_bytes(report['asked_bytes'])}: {why}"
        )
    return report


def _page_out(pid: int, ranges: Sequence[tuple[int, int]]) -> str | None:
    """Asks for the pages of some mappings; returns why the kernel refuses, or None."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    fd = libc.syscall(_PIDFD_OPEN, pid, 0)
    if fd < 0:
        return os.strerror(ctypes.get_errno())
    try:
        for start in range(0, len(ranges), _MOST_RANGES):
            part = ranges[start : start + _MOST_RANGES]
            vector = (_Range * len(part))(*(_Range(a, b - a) for a, b in part))
            done = libc.syscall(
                _PROCESS_MADVISE, fd, ctypes.byref(vector), ctypes.c_size_t(len(part)), MADV_PAGEOUT, 0
            )
            if done < 0:
                return os.strerror(ctypes.get_errno())
    finally:
        os.close(fd)
    return None


def _place(pid: int, file: FileMemory) -> str:
    return f"/proc/{pid}/root{file.path}"


def _cached(place: str) -> int | None:
    """Bytes of a file in the page cache, by mincore on a mapping that is never touched."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        size = os.fstat(fd).st_size
        if size == 0:
            return 0
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
        if address in (None, ctypes.c_void_p(-1).value):
            return None
        page = os.sysconf("SC_PAGE_SIZE")
        vector = (ctypes.c_ubyte * (-(-size // page)))()
        try:
            if libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), vector) != 0:
                return None
        finally:
            libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
        # The lowest bit says whether the page is there; the others are reserved.
        return sum(bytes(vector).count(bytes([odd])) for odd in range(1, 256, 2)) * page
    finally:
        os.close(fd)


def _rss(pid: int) -> int | None:
    try:
        return parse_status(Path(f"/proc/{pid}/status").read_bytes()).rss
    except OSError:
        return None
