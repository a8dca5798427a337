"""A command and all that it has started, also what has left it by a double fork; and what that holds."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from hfmemdebug.probes.process_table import children_of
from hfmemdebug.probes.status import Status, parse_status
from hfmemdebug.supervise.limits.run_id import VARIABLE

_PR_SET_CHILD_SUBREAPER = 36
_PSS = re.compile(rb"^(?:Pss_Anon|Pss_Shmem|SwapPss):\s+(\d+) kB$", re.MULTILINE)
_ROUNDS_OF_KILLING = 50


def adopt_orphans() -> None:
    """Processes whose parents die become children of this one from now on, instead of init's (prctl(2))."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


@dataclass(frozen=True)
class Held:
    """What a tree of processes holds, in bytes.

    Attributes:
        unreclaimable: Anonymous and shared memory, and what of it is in swap.
        rss: Sum of RSS: what processes share is counted in each.
        file: Pages of mapped files among it.
    """

    unreclaimable: int
    rss: int
    file: int


class Tree:
    """The processes of one command.

    Args:
        root: The command's process.
        name: What `VARIABLE` is in its environment.
    """

    def __init__(self, root: int, name: str) -> None:
        self._root = root
        self._mark = f"{VARIABLE}={name}".encode()
        self._known: set[int] = {root}
        self._strangers: set[int] = set()

    def pids(self) -> set[int]:
        """The living processes, the command's first one included."""
        found: set[int] = set()
        waiting = [self._root, *self._adopted()]
        while waiting:
            pid = waiting.pop()
            if pid not in found and Path(f"/proc/{pid}").exists():
                found.add(pid)
                waiting += children_of(pid)
        self._known = found
        return found

    def _adopted(self) -> list[int]:
        """Orphans of the command that have become our own children."""
        ours = []
        children = set(children_of(os.getpid()))
        self._strangers &= children
        for pid in children - self._strangers:
            if pid in self._known or self._mark in _environment(pid):
                ours.append(pid)
            else:
                self._strangers.add(pid)
        return ours

    def held(self, *, limit: int) -> Held:
        """What the processes hold.

        A page that several processes share after a fork is in the figures of each. Counting it once is
        dear, so that it is done only where the cheap sum is above the limit.

        Args:
            limit: In bytes.
        """
        statuses = {pid: status for pid in self.pids() if (status := _status(pid)) is not None}
        sums = {
            pid: (s.anon or 0) + (s.shmem or 0) + (s.swap or 0) if s.anon is not None else (s.rss or 0)
            for pid, s in statuses.items()
        }
        if len(sums) > 1 and sum(sums.values()) > limit:
            sums = {pid: _shared_once(pid, otherwise=held) for pid, held in sums.items()}
        return Held(
            unreclaimable=sum(sums.values()),
            rss=sum(s.rss or 0 for s in statuses.values()),
            file=sum(s.file or 0 for s in statuses.values()),
        )

    def kill(self, *, number: int = signal.SIGKILL) -> None:
        """Kills all of them, those included that are started meanwhile."""
        for _ in range(_ROUNDS_OF_KILLING if number == signal.SIGKILL else 1):
            living = {pid for pid in self.pids() if not _is_dead(pid)}
            if not living:
                return
            # The command first: one that sees its children die has time to end by itself, with a status of its own.
            for pid in sorted(living, key=lambda pid: pid != self._root):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _status(pid: int) -> Status | None:
    try:
        return parse_status(Path(f"/proc/{pid}/status").read_bytes())
    except OSError:
        return None


def _is_dead(pid: int) -> bool:
    """Whether it is a zombie that waits for its parent, or gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return stat.rpartition(b")")[2].split()[0] in (b"Z", b"X")


def _shared_once(pid: int, *, otherwise: int) -> int:
    """Bytes in proportion to how many processes share them (`smaps_rollup`, Linux 4.14; split since 5.9)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_bytes()
    except (ProcessLookupError, FileNotFoundError):
        return 0 if Path("/proc/self/smaps_rollup").exists() else otherwise
    except OSError:
        return otherwise
    numbers = _PSS.findall(text)
    # A process that is about to end has no memory any more, and the file no lines.
    return sum(map(int, numbers)) * 1024 if len(numbers) == 3 or not text else otherwise
