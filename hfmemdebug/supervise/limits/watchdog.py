"""No limit, but the nearest thing to one without any privilege: samples often, and kills.

It counts what the kernel could not take back (anonymous and shared memory, and swap) of the command and all that it
has started, also what has left its tree by a double fork. File pages are left alone: under a real limit the kernel
would have dropped them. Between two samples a command can take more than it may; and what no process maps (files on
tmpfs, sockets) is not seen.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import replace
from pathlib import Path

from hfmemdebug.probes.maps import read_rollup
from hfmemdebug.probes.process_table import children_of, descendants, environment_of, is_living
from hfmemdebug.probes.status import Status, read_status
from hfmemdebug.recording.end import LimitUsage
from hfmemdebug.supervise.limits.limiter import Request, Unavailable
from hfmemdebug.supervise.limits.run_id import VARIABLE

WATCHDOG = "watchdog"
_INTERVAL_SECONDS = 0.02
_ROUNDS_OF_KILLING = 50


def open_watchdog(request: Request, name: str) -> Watchdog:
    """Prepares it.

    Raises:
        Unavailable: The kernel does not list a process's children, without which the tree costs too much to be known.
    """
    if not Path("/proc/thread-self/children").exists():
        raise Unavailable("the kernel does not list the children of a process (CONFIG_PROC_CHILDREN)")
    return Watchdog(request, name)


class Watchdog:
    """Watches one command.

    Args:
        request: What it may hold; swap counts like memory.
        name: What `VARIABLE` is in the command's environment.
    """

    prefix: tuple[str, ...] = ()
    enter: tuple[str, ...] = ()
    needs_holder = False
    interval = _INTERVAL_SECONDS

    def __init__(self, request: Request, name: str) -> None:
        self.environment: dict[str, str] = {}
        self.killed = False
        self._most = request.bytes + request.swap
        self._name = name
        self._root: int | None = None
        self._known: set[int] = set()
        self._strangers: set[int] = set()
        how = f"watchdog, which is no limit: it looks every {_INTERVAL_SECONDS * 1000:.0f} ms"
        self._usage = LimitUsage(request.bytes, request.swap, WATCHDOG, how, is_limit=False)

    def confirm(self, pid: int) -> str:
        """Begins to watch the process."""
        self._root = pid
        return self._name

    def sample(self) -> None:
        """Counts, and kills the tree where it holds too much."""
        if self.killed:
            return
        held = self._held()
        if held > (self._usage.peak_bytes or -1):
            self._usage = replace(self._usage, peak_bytes=held, peak_unreclaimable_bytes=held)
        if held > self._most:
            self.killed = True
            self.close()

    def pids(self) -> set[int]:
        """Lists the living processes of the command, its first one included."""
        if self._root is None:
            return set()
        roots = {self._root, *self._adopted()}
        self._known = {
            pid for root in roots for pid in (root, *descendants(root)) if Path(f"/proc/{pid}").exists()
        }
        return set(self._known)

    def usage(self) -> LimitUsage:
        """Returns the limit and the highest that was seen."""
        return self._usage

    def drop_pages(self) -> None:
        """Does nothing: no page is charged to a watchdog."""

    def close(self) -> None:
        """Kills what is left of the tree, that included which is started meanwhile."""
        for _ in range(_ROUNDS_OF_KILLING):
            living = {pid for pid in self.pids() if is_living(pid)}
            if not living:
                return
            # The command first: one that sees its children die has time to end by itself, with a status of its own.
            for pid in sorted(living, key=lambda pid: pid != self._root):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)

    def _adopted(self) -> list[int]:
        """Finds orphans of the command that have become our own children."""
        ours = []
        children = set(children_of(os.getpid()))
        self._strangers &= children
        for pid in children - self._strangers:
            if pid in self._known or environment_of(pid).get(VARIABLE) == self._name:
                ours.append(pid)
            else:
                self._strangers.add(pid)
        return ours

    def _held(self) -> int:
        """Returns the bytes that the processes hold.

        A page that several processes share after a fork is in the figures of each. Counting it once costs much, so
        that it is done only where the cheap sum is above the limit.
        """
        statuses = {pid: status for pid in self.pids() if (status := _status(pid)) is not None}
        held = {
            pid: (s.anon or 0) + (s.shmem or 0) + (s.swap or 0) if s.anon is not None else (s.rss or 0)
            for pid, s in statuses.items()
        }
        if len(held) > 1 and sum(held.values()) > self._most:
            held = {pid: _shared_once(pid, otherwise=size) for pid, size in held.items()}
        return sum(held.values())


def _status(pid: int) -> Status | None:
    with contextlib.suppress(OSError):
        return read_status(pid)
    return None


def _shared_once(pid: int, *, otherwise: int) -> int:
    """Returns bytes in proportion to how many processes share them (`smaps_rollup`, Linux 4.14; split since 5.9)."""
    try:
        memory = read_rollup(pid)
    except (ProcessLookupError, FileNotFoundError):
        return 0 if Path("/proc/self/smaps_rollup").exists() else otherwise
    except OSError:
        return otherwise
    if memory.pss_anon is None:
        # A process that is about to end has no memory any more, and the file no lines.
        return 0 if memory.rss is None else otherwise
    return memory.pss_anon + (memory.pss_shmem or 0) + (memory.swap_pss or 0)
