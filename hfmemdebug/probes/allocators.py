"""Reads allocators: which malloc a process has, what that has in use and holds free, and Arrow's memory pools.

``mallinfo2`` (glibc 2.33 and later) answers for glibc's heap alone. Under a preloaded jemalloc or tcmalloc it describes
a heap that the process does not use, and musl has none: those two are asked in their own ways, of the others the
answer is None, with the reason. psutil's ``heap_info`` is the same call, without the replacements.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Read once, when a process begins.
TUNABLES = "GLIBC_TUNABLES"
_NO_CACHE = "glibc.malloc.tcache_count"
# More than glibc's thread cache holds of each size (7), and how many are taken at most to find that many.
_CACHED_CHUNKS, _MOST_CHUNKS = 16, 1024
# MALLCTL_ARENAS_ALL of jemalloc 5: in place of an arena's number it means all of them.
_ALL_ARENAS = 4096


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def without_thread_caches(environ: Mapping[str, str]) -> dict[str, str]:
    """Makes an environment for a process whose threads keep no chunks for themselves, unless the user says how many.

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
    """Finds the malloc of a process in the text of its ``/proc/PID/maps``.

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


class _Jemalloc:
    """Reads jemalloc's statistics through its ``mallctl``.

    Args:
        library: The process's symbols (``ctypes.CDLL(None)``).

    Raises:
        AttributeError: There is no ``mallctl``: symbols were built with a prefix.
        OSError: It was built without statistics.
    """

    def __init__(self, library: Any) -> None:
        self._mallctl = library.mallctl
        self._mallctl.restype = ctypes.c_int
        self._mallctl.argtypes = [
            ctypes.c_char_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t), ctypes.c_void_p, ctypes.c_size_t,
        ]  # fmt: skip
        # Kept, so that a reading allocates nothing of its own.
        self._epoch, self._value = ctypes.c_uint64(1), ctypes.c_size_t()
        self._size = ctypes.c_size_t(ctypes.sizeof(self._value))
        self.read()

    def read(self) -> MallocReading:
        self._flush()
        # The figures are those of the last time that the epoch was advanced.
        self._call(b"epoch", None, None, ctypes.byref(self._epoch), ctypes.sizeof(self._epoch))
        in_use = self._get(b"stats.allocated")
        return MallocReading(in_use, max(self._get(b"stats.active") - in_use, 0))

    def trim(self) -> None:
        self._flush()
        self._call(b"arena.%d.purge" % _ALL_ARENAS, None, None, None, 0)

    def _flush(self) -> None:
        """Empties this thread's cache, whose blocks would count as in use. Fails where there is no cache."""
        self._mallctl(b"thread.tcache.flush", None, None, None, 0)

    def _get(self, name: bytes) -> int:
        self._call(name, ctypes.byref(self._value), ctypes.byref(self._size), None, 0)
        return int(self._value.value)

    def _call(self, name: bytes, *arguments: Any) -> None:
        error = self._mallctl(name, *arguments)
        if error:
            raise OSError(error, f"mallctl of {name.decode()} failed")


class _Tcmalloc:
    """Reads the properties of gperftools' tcmalloc through its C interface (``malloc_extension_c.h``).

    Args:
        library: The process's symbols (``ctypes.CDLL(None)``).

    Raises:
        AttributeError: There is no such interface: another tcmalloc, or none.
        OSError: It does not know the properties.
    """

    def __init__(self, library: Any) -> None:
        self._property = library.MallocExtension_GetNumericProperty
        self._property.restype = ctypes.c_int
        self._property.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t)]
        self.trim = library.MallocExtension_ReleaseFreeMemory
        self.trim.restype, self.trim.argtypes = None, []
        # Kept, so that a reading allocates nothing of its own.
        self._value = ctypes.c_size_t()
        self.read()

    def read(self) -> MallocReading:
        in_use = self._get(b"generic.current_allocated_bytes")
        held = self._get(b"generic.heap_size") - self._get(b"tcmalloc.pageheap_unmapped_bytes")
        return MallocReading(in_use, max(held - in_use, 0))

    def _get(self, name: bytes) -> int:
        if not self._property(name, ctypes.byref(self._value)):
            raise OSError(f"tcmalloc has no property {name.decode()}")
        return int(self._value.value)


_IN_ITS_PLACE: dict[str, type[_Jemalloc] | type[_Tcmalloc]] = {"jemalloc": _Jemalloc, "tcmalloc": _Tcmalloc}


class MallocProbe:
    """Reads the malloc of this process: glibc's, or jemalloc or tcmalloc in its place.

    Attributes:
        allocator: What `find_allocator` found.
        why_not: Why there is no reading, in words for a warning; None where there is one.
    """

    def __init__(self, maps: str | None = None) -> None:
        self.why_not: str | None = None
        self._libc: Any = None
        self._mallinfo2: Any = None
        self._malloc_trim: Any = None
        # Made once: a list would grow out of malloc while its cache is being filled.
        self._chunks = (ctypes.c_void_p * _MOST_CHUNKS)()
        self._replacement: _Jemalloc | _Tcmalloc | None = None
        self.allocator = find_allocator(Path("/proc/self/maps").read_text() if maps is None else maps)
        if self.allocator in _IN_ITS_PLACE:
            try:
                self._replacement = _IN_ITS_PLACE[self.allocator](ctypes.CDLL(None))
                return
            except (AttributeError, OSError):
                # A build that does not answer is as opaque as the rest.
                pass
        if self.allocator != "glibc":
            self.why_not = f"malloc is {self.allocator}, whose bytes in use cannot be read"
            return
        # A handle of our own: argument types that other code sets on another one stay as they are.
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

    def read(self) -> MallocReading | None:
        """Takes one reading: under ten microseconds on a fresh heap, far more on one with many free chunks."""
        if self._replacement is not None:
            return self._replacement.read()
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


class ArrowProbe:
    """Reads every pool that this pyarrow was built with, not the default one alone. Imports pyarrow.

    A program may switch pools while it runs; the default pool's figure then leaves out what the other
    one still holds (apache/arrow#28339).
    """

    def __init__(self) -> None:
        import pyarrow

        self._pools: list[Any] = []
        for backend in pyarrow.supported_memory_backends():
            self._pools.append(getattr(pyarrow, f"{backend}_memory_pool")())
        self._system: Any = pyarrow.system_memory_pool()

    def in_use(self) -> int:
        """Sums the bytes in use over all pools. Under a microsecond."""
        total = 0
        for pool in self._pools:
            total += pool.bytes_allocated()
        return total

    def in_malloc(self) -> int:
        """Reads how many of them are malloc's blocks as well: the system pool's, whichever pool is the default."""
        allocated: int = self._system.bytes_allocated()
        return allocated

    def release_unused(self) -> None:
        """Asks every pool to give back to the kernel what it retains."""
        for pool in self._pools:
            pool.release_unused()
