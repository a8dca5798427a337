"""What every mechanism offers, so that whoever runs a command need not know which one it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Unavailable(Exception):
    """A mechanism does not work here; the text says why, in words for people."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        bytes: Memory at most.
        swap: Swap beyond that, in bytes.
    """

    bytes: int
    swap: int = 0


@dataclass(frozen=True)
class Usage:
    """What a run under a limit has used; a figure that cannot be had is None.

    Attributes:
        peak: Highest amount of memory that counted towards the limit, in bytes.
        file_at_peak: How much of it was file pages, as last seen near the peak.
        unreclaimable_peak: Highest anonymous + shared memory seen, in bytes.
        oom_kills: Processes that the kernel's OOM killer has killed.
        limit_hits: How often the limit was reached and the kernel took pages back instead of killing.
        throttled: How often processes were held up above a soft limit (cgroup v2's ``memory.high``).
        stalled_seconds: Time in which at least one process waited for memory (PSI ``some``).
        major_faults: Pages that had to be read from disk again or for the first time.
    """

    peak: int | None = None
    file_at_peak: int | None = None
    unreclaimable_peak: int | None = None
    oom_kills: int | None = None
    limit_hits: int | None = None
    throttled: int | None = None
    stalled_seconds: float | None = None
    major_faults: int | None = None


class Enclosure(Protocol):
    """One limit that is set up, for one command and all that it starts.

    Attributes:
        backend: Name of the mechanism, as ``--backend`` takes it.
        how: The same in words, for the closing line.
        is_limit: Whether the kernel enforces it; a watchdog's figure is no limit.
        prefix: What the command line of the launcher is put behind.
        environment: Variables that `prefix` needs and the command does not get.
        enter: Files to which the launcher writes itself.
        needs_holder: Whether a process must stay in it until the figures were read.
        tick: Seconds between two calls of `look`.
        killed: Whether `look` has killed the tree.
    """

    backend: str
    how: str
    is_limit: bool
    prefix: tuple[str, ...]
    environment: dict[str, str]
    enter: tuple[str, ...]
    needs_holder: bool
    tick: float
    killed: bool

    def confirm(self, pid: int) -> str:
        """Sees to it that the limit holds for the process, and names its group.

        Raises:
            Unavailable: It does not.
        """
        ...

    def look(self) -> None:
        """Takes a sample; a watchdog kills here."""
        ...

    def pids(self) -> set[int]:
        """The processes that are in it."""
        ...

    def usage(self) -> Usage:
        """What has been used until now."""
        ...

    def drop_pages(self) -> None:
        """Has the kernel take back the file pages that are charged to it, so that the next run reads them anew."""
        ...

    def close(self) -> None:
        """Kills what is left in it and removes it."""
        ...


# Sets a limit up for a run of this name, or raises Unavailable.
Opener = Callable[[Request, str], Enclosure]
