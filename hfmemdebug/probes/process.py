"""All that one process can say of itself, put into one `Sample`.

Two kernels give the same fields: `ProcKernel` reads Linux's /proc, `PsutilKernel` gives what psutil can
anywhere else. What a kernel cannot see stays None and is named in `missing`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from hfmemdebug.probes.children import Growth, read_children
from hfmemdebug.probes.cpython import allocated_blocks, clear_type_cache, python_heap
from hfmemdebug.probes.devshm import NewFiles
from hfmemdebug.probes.malloc import MallocProbe
from hfmemdebug.probes.maps import Mapping, copies_by_path, mappings_of, parse_maps
from hfmemdebug.probes.status import Status, StatusReader

# Reading malloc may take at most this share of the time between two readings.
MALLOC_SHARE = 0.005


class Kernel(Protocol):
    """Where the figures of the operating system come from."""

    missing: tuple[str, ...]

    def status(self) -> Status:
        """Resident memory by kind, in bytes."""

    def reset_peak(self) -> None:
        """Starts the peak anew, where that can be done."""

    def details(self, files: frozenset[str]) -> dict[str, int | None]:
        """Slower readings, for the ends of epochs: the `Sample` fields from ``dataset_resident`` on."""

    def shared_files(self, *, written: bool = True) -> int | None:
        """Bytes of files that are memory; without ``written``, with the pages that were not written yet."""


class ProcKernel:
    """Linux's /proc."""

    missing: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._status = StatusReader()
        self._new_in_dev_shm = NewFiles()
        self._in_children = Growth()

    def status(self) -> Status:
        """See `Kernel`."""
        return self._status.read()

    def reset_peak(self) -> None:
        """Writes 5 to ``clear_refs``, which sets VmHWM to the present RSS (proc(5))."""
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            # Read-only /proc: the peak is then that of the whole life, which is still an upper bound.
            return

    def shared_files(self, *, written: bool = True) -> int | None:
        """See `Kernel`."""
        return self._new_in_dev_shm.size(written=written)

    def details(self, files: frozenset[str]) -> dict[str, int | None]:
        """See `Kernel`."""
        mappings = read_mappings()
        children = read_children()
        copies = copies_by_path(mappings).values()
        resident = [mapping.rss for mapping in mappings_of(mappings, files)]
        return {
            "dataset_resident": sum(size for size in resident if size is not None) if files else None,
            "file_maps": sum(mapping.is_file for mapping in mappings),
            "fds": len(os.listdir("/proc/self/fd")),
            "threads": self.status().threads,
            "children": children.count if children is not None else None,
            "children_anon": children.anon if children is not None else None,
            "children_grown": self._in_children.of(children) if children is not None else None,
            "dev_shm": self.shared_files(),
            "copied": sum(file.copied for file in copies),
            "copyable": sum(file.size for file in copies),
        }


class PsutilKernel:
    """What psutil gives on any system: RSS and its peak, counts; no split of the RSS."""

    missing: tuple[str, ...] = (
        "the split of RSS into anonymous, file and shared memory (this system has no /proc/PID/status)",
        "resident bytes of each mapped file",
    )

    def __init__(self) -> None:
        import psutil

        self._process: Any = psutil.Process()

    def status(self) -> Status:
        """See `Kernel`."""
        info = self._process.memory_info()
        # Windows calls the peak peak_wset; macOS and Linux give it through resource alone.
        return Status(rss=info.rss, peak_rss=getattr(info, "peak_wset", None) or _peak_from_rusage())

    def reset_peak(self) -> None:
        """There is no way; the peak is that of the whole life."""

    def shared_files(self, *, written: bool = True) -> int | None:
        """None: there is no such folder."""
        return None

    def details(self, files: frozenset[str]) -> dict[str, int | None]:
        """See `Kernel`."""
        count_fds = getattr(self._process, "num_fds", None) or self._process.num_handles
        return {
            "fds": count_fds(),
            "threads": self._process.num_threads(),
            "children": len(self._process.children(recursive=True)),
        }


def _peak_from_rusage() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    # ru_maxrss is in bytes on macOS and in units of 1024 bytes elsewhere (getrusage(2)).
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def read_mappings() -> tuple[Mapping, ...]:
    """This process's mappings with their sizes, from ``/proc/self/smaps``; tens of milliseconds."""
    # As bytes: each of the first seventy files that a process opens as text leaves a block or two behind.
    return parse_maps(Path("/proc/self/smaps").read_bytes().decode(errors="surrogateescape"))


def default_kernel() -> Kernel:
    """/proc where there is one, else psutil."""
    try:
        kernel = ProcKernel()
        if kernel.status().anon is not None:
            return kernel
    except OSError:
        pass
    return PsutilKernel()


class ProcessProbe:
    """Reads the process it runs in.

    It keeps nothing that it has read: a recorder that holds its samples adds three or four blocks a
    slice of its own, which hides a leak of one object.

    Args:
        kernel: Where the operating system's figures come from.
        clock: Seconds, monotonic.
    """

    def __init__(self, kernel: Kernel | None = None, clock: Any = time.perf_counter) -> None:
        self.kernel = kernel if kernel is not None else default_kernel()
        self.malloc = MallocProbe()
        self.arrow: Any = None
        self.clock = clock
        self._origin: float = clock()
        self._malloc_due = 0.0

    @property
    def missing(self) -> tuple[str, ...]:
        """What cannot be read here, in words for a warning."""
        return self.kernel.missing + ((self.malloc.why_not,) if self.malloc.why_not is not None else ())

    def watch_arrow(self) -> None:
        """Reads Arrow's pools from now on. Imports pyarrow."""
        from hfmemdebug.probes.arrow import ArrowProbe

        self.arrow = ArrowProbe()

    def reader_of(self, name: str) -> Callable[[], int | None]:
        """One field of the samples alone (``"other"`` is ``anon``), for whoever reads it line by line."""

        def malloc_in_use() -> int | None:
            # With a full cache a block counts when it is asked for; else seven come and go at a time.
            self.malloc.fill_thread_cache()
            return self._malloc_in_use()

        if name == "malloc":
            return malloc_in_use
        if name == "arrow" and self.arrow is not None:
            in_use: Callable[[], int] = self.arrow.in_use
            return in_use
        if name == "dev_shm":
            return lambda: self.kernel.shared_files(written=False)
        if name == "fds":
            return lambda: len(os.listdir("/proc/self/fd"))
        if name in ("shmem", "threads", "other"):
            field = {"other": "anon"}.get(name, name)
            return lambda: getattr(self.kernel.status(), field)
        return lambda: self.kernel.details(frozenset()).get(name)

    def trim(self) -> None:
        """What the interpreter and malloc merely keep at hand is given up, as at the end of each epoch."""
        clear_type_cache()
        self.malloc.trim()

    def _malloc_in_use(self) -> int | None:
        """Without what Arrow has from malloc, whose own counter has that: a byte has one owner."""
        reading = self.malloc.read()
        if reading is None:
            return None
        return reading.in_use - (self.arrow.in_malloc() if self.arrow is not None else 0)

    def read(self) -> dict[str, Any]:
        """The cheap readings: `Sample` fields from ``seconds`` to ``peak_rss``."""
        # Exact counters first, before this function allocates anything of its own.
        blocks = allocated_blocks()
        began = self.clock()
        malloc = None
        if began >= self._malloc_due:
            malloc = self._malloc_in_use()
            cost = self.clock() - began
            # mallinfo2 walks the free chunks: on a torn heap it takes long, and then it is read less often.
            self._malloc_due = began + cost / MALLOC_SHARE if cost > 0.0002 else 0.0
        status = self.kernel.status()
        values = {
            "seconds": round(began - self._origin, 6),
            "rss": status.rss,
            "anon": status.anon,
            "file": status.file,
            "shmem": status.shmem,
            "swap": status.swap,
            "reserved": status.reserved,
            "mapped": status.mapped,
            "arrow": self.arrow.in_use() if self.arrow is not None else None,
            "malloc": malloc,
            "blocks": blocks,
            "peak_rss": status.peak_rss,
        }
        return values

    def read_settled(self, files: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The cheap and the slower readings, for the ends of epochs.

        Args:
            files: Paths of the dataset's files, whose resident bytes are added up.
        """
        self._malloc_due = 0.0
        values = self.read()
        reading = self.malloc.read()
        values["malloc_free"] = reading.free if reading is not None else None
        heap = python_heap()
        values["python"], values["python_free"] = heap if heap is not None else (None, None)
        values.update(self.kernel.details(files))
        return values
