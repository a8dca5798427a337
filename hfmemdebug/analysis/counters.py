"""The counters that own a process's memory: what they are called, which cause they stand for, and what each did."""

from __future__ import annotations

from dataclasses import dataclass

from hfmemdebug.analysis.series import Series
from hfmemdebug.analysis.trend import Trend
from hfmemdebug.recording.sample import ProcessSample

MB = 1 << 20
PAGE = 4096
# Page counts move by arenas and size classes: below this they say nothing without an exact counter.
PAGES_FLOOR = 16 * MB
# Less than this is nothing to explain: libraries' own warm-up moves page counts by as much.
NOTEWORTHY = 4 * MB
# What is counted to the byte.
EXACT = ("python", "malloc", "arrow")


@dataclass(frozen=True)
class Kind:
    """One counter.

    Attributes:
        cause: The contract's cause of a leak in it.
        words: What it counts.
        things: What piles up, where it counts things and not bytes: each is at least a page.
    """

    cause: str
    words: str
    things: str | None = None


COUNTERS = {
    "python": Kind("python-objects", "Python objects"),
    "malloc": Kind("native-heap", "memory from malloc"),
    "arrow": Kind("arrow-pool", "Arrow buffers"),
    "copied": Kind("copy-on-write", "private copies of files' pages"),
    "other": Kind("anonymous-other", "anonymous memory that no counter owns"),
    "pages": Kind("anonymous-other", "anonymous memory"),
    "children_anon": Kind("anonymous-other", "memory of the child processes"),
    "shmem": Kind("shared-memory", "shared memory"),
    "dev_shm": Kind("shared-memory", "files in /dev/shm or of memfd_create"),
    "segments": Kind("shared-memory", "segments of shared memory"),
    "file_maps": Kind("file-mapping", "the number of file mappings", "mappings of files"),
    "fds": Kind("file-mapping", "the number of open file descriptors", "open file descriptors"),
    "threads": Kind("anonymous-other", "the number of threads", "threads, each with a stack"),
    "children": Kind("anonymous-other", "the number of child processes", "child processes"),
}
THINGS = tuple(name for name, kind in COUNTERS.items() if kind.things)


_NOTHING = Series(())


@dataclass(frozen=True)
class CounterTrend:
    """The trend of one counter.

    Attributes:
        name: A key of `COUNTERS`. ``pages`` are all anonymous memory, where nothing was read inside of a program;
            ``dev_shm`` is of all programs, ``segments`` are those of it that the program has made.
        trend: What it does, in bytes or things, per slice, per 1000 rows or per second.
        series: Of an arm: what was judged.
        gained: Of a program: how much each process has gained from first to last, those that gained most first.
        filled: It has filled memory that was asked for before, and can get no larger than that.
    """

    name: str
    trend: Trend
    series: Series = _NOTHING
    gained: tuple[tuple[ProcessSample, float], ...] = ()
    filled: bool = False

    @property
    def kind(self) -> Kind:
        """Returns what it counts."""
        return COUNTERS[self.name]


def block_bytes(blocks: float, held: float) -> float:
    """Bytes of one of CPython's blocks, of so many that came and hold so much; its sizes are 16 to 512 bytes."""
    return min(512.0, max(16.0, held / blocks))


# Where nothing better is known: CPython's commonest size.
COMMON_BLOCK = 64.0
