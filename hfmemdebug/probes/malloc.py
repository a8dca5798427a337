"""What malloc has in use and holds free, and which malloc it is.

``mallinfo2`` (glibc 2.33 and later) answers for glibc's heap alone. Under a preloaded jemalloc or tcmalloc
it describes a heap that nobody uses, and musl has none: those two are asked in their own ways, of the others
the answer is None, with the reason.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfmemdebug.probes.jemalloc import Jemalloc
from hfmemdebug.probes.tcmalloc import Tcmalloc

_IN_ITS_PLACE: dict[str, type[Jemalloc] | type[Tcmalloc]] = {"jemalloc": Jemalloc, "tcmalloc": Tcmalloc}


# Read once, when a process begins.
TUNABLES = "GLIBC_TUNABLES"
_NO_CACHE = "glibc.malloc.tcache_count"
# More than glibc's thread cache holds of each size, and how many are taken at most to find that many.
_CACHED_CHUNKS, _MOST_CHUNKS = 16, 1024


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def without_thread_caches(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process whose threads keep no chunks for themselves, unless the user says how many.

    `MallocProbe.fill_thread_cache` fills the calling thread's cache alone. Those of a library's pool of threads
    (Arrow's reading a Parquet file) fill over thousands of slices, and a kilobyte an epoch looks like a leak.
    """
    said = environ.get(TUNABLES, "")
    if _NO_CACHE in said:
        return dict(environ)
    return {**environ, TUNABLES: f"{said}:{_NO_CACHE}=0".lstrip(":")}


@dataclass(frozen=True)
class MallocReading:
    """Bytes that malloc has handed out and bytes that it holds free."""

    in_use: int
    free: int


def find_allocator(maps: str) -> str:
    """The malloc of a process, from the text of its ``/proc/PID/maps``.

    Returns:
        ``"jemalloc"``, ``"tcmalloc"``, ``"mimalloc"`` for one that was preloaded or linked in place of
        the C library's; else ``"glibc"``, ``"musl"`` or ``"unknown"``. An allocator that a library
        carries for itself (mimalloc in pyarrow) is not mapped under a name of its own and does not count.
    """
    replaced = re.search(
        r"/lib(jemalloc|tcmalloc|mimalloc)[^/\n]*\.so(?:\.\d+)*(?: \(deleted\))?$", maps, re.M
    )
    if replaced is not None:
        return replaced.group(1)
    if re.search(r"/ld-musl-[^/\n]*\.so|/libc\.musl-", maps):
        return "musl"
    if re.search(r"/libc(?:\.so\.6|-2\.\d+\.so)", maps):
        return "glibc"
    return "unknown"


class MallocProbe:
    """Reads the malloc of this process: glibc's, or jemalloc or tcmalloc in its place.

    Attributes:
        allocator: What `find_allocator` found.
        why_not: Why there is no reading, in words for a warning; None where there is one.
    """

    def __init__(self, maps: str | None = None) -> None:
        self.allocator = "unknown"
        self.why_not: str | None = "malloc cannot be read on this system"
        self._libc: Any = None
        self._mallinfo2: Any = None
        self._malloc_trim: Any = None
        # Made once: a list would grow out of malloc while its cache is being filled.
        self._chunks = (ctypes.c_void_p * _MOST_CHUNKS)()
        self._replacement: Jemalloc | Tcmalloc | None = None
        if not sys.platform.startswith("linux"):
            return
        try:
            self.allocator = find_allocator(Path("/proc/self/maps").read_text() if maps is None else maps)
        except OSError:
            return
        if self.allocator in _IN_ITS_PLACE:
            try:
                self._replacement = _IN_ITS_PLACE[self.allocator](ctypes.CDLL(None))
                self.why_not = None
                return
            except (AttributeError, OSError):
                # A build that does not answer is as opaque as the rest.
                pass
        if self.allocator != "glibc":
            self.why_not = f"malloc is {self.allocator}, whose bytes in use cannot be read"
            return
        # A handle of our own: the argument types that are set on it are nobody else's.
        libc = self._libc = ctypes.CDLL(None)
        libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
        libc.free.argtypes, libc.free.restype = [ctypes.c_void_p], None
        libc.malloc_usable_size.argtypes, libc.malloc_usable_size.restype = [ctypes.c_void_p], ctypes.c_size_t
        self._malloc_trim = getattr(libc, "malloc_trim", None)
        try:
            self._mallinfo2 = libc.mallinfo2
        except AttributeError:
            self.why_not = "glibc before 2.33 cannot tell malloc's bytes in use (no mallinfo2)"
            return
        self._mallinfo2.restype = _Mallinfo2
        self._mallinfo2.argtypes = []
        self.why_not = None

    def read(self) -> MallocReading | None:
        """One reading: under ten microseconds on a fresh heap, far more on one with many free chunks."""
        if self._replacement is not None:
            in_use, free = self._replacement.read()
            return MallocReading(in_use, free)
        if self._mallinfo2 is None:
            return None
        info = self._mallinfo2()
        return MallocReading(in_use=info.uordblks + info.hblkhd, free=info.fordblks)

    def trim(self) -> bool:
        """Asks malloc to give free pages back to the kernel; False where there is no way to ask.

        The calling thread's cache of small chunks is filled as well, so that what it holds is the same at
        every settled reading.
        """
        if self._replacement is not None:
            self._replacement.trim()
            return True
        if self._malloc_trim is None:
            return False
        self.fill_thread_cache()
        self._malloc_trim(0)
        return True

    def fill_thread_cache(self) -> None:
        """Frees as many chunks of each small size as the thread cache takes.

        glibc keeps up to seven freed chunks of each size of up to 1032 bytes for the thread that freed them
        (`glibc.malloc.tcache_count` may be more), and mallinfo counts those as in use: without this, malloc seems
        to grow by a kilobyte or three from epoch to epoch, a dozen times over, until every size has its own. A
        hole of 16 bytes more than was asked for cannot be split and is given out whole: what counts is what malloc
        gave. Else a size stays short now and then, and malloc seems to move by up to a kilobyte.
        """
        if self._mallinfo2 is None:
            return
        chunks, libc = self._chunks, self._libc
        for size in range(24, 1033, 16):
            exact = taken = 0
            while exact < _CACHED_CHUNKS and taken < len(chunks):
                chunk = libc.malloc(size)
                chunks[taken] = chunk
                taken += 1
                exact += libc.malloc_usable_size(chunk) == size
            for index in range(taken):
                libc.free(chunks[index])
