"""No limit, but the nearest thing to one without any privilege: looks often, and kills.

It counts what the kernel could not take back (anonymous and shared memory, and swap, of the whole tree).
File pages are left alone: under a real limit the kernel would have dropped them. Between two looks
a command can take more than it may; and what no process maps (files on tmpfs, sockets) is not seen.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hfmemdebug.supervise.limits.enclosure import Request, Unavailable, Usage
from hfmemdebug.supervise.limits.tree import Tree

NAME = "watchdog"
TICK_SECONDS = 0.02


def open_watchdog(request: Request, name: str) -> Watchdog:
    """Prepares it.

    Raises:
        Unavailable: The kernel does not list a process's children, without which the tree is not known.
    """
    if not Path("/proc/thread-self/children").exists():
        raise Unavailable("the kernel does not list the children of a process (CONFIG_PROC_CHILDREN)")
    return Watchdog(request, name)


class Watchdog:
    """Watches one command.

    Args:
        request: What it may hold; swap counts like memory.
        name: The run's name, by which the tree is known.
    """

    backend = NAME
    how = f"watchdog, which is no limit: it looks every {TICK_SECONDS * 1000:.0f} ms"
    is_limit = False
    prefix: tuple[str, ...] = ()
    enter: tuple[str, ...] = ()
    needs_holder = False
    tick = TICK_SECONDS

    def __init__(self, request: Request, name: str) -> None:
        self.environment: dict[str, str] = {}
        self.killed = False
        self._most = request.bytes + request.swap
        self._name = name
        self._tree: Tree | None = None
        self._usage = Usage()

    def confirm(self, pid: int) -> str:
        """Begins to watch the process."""
        self._tree = Tree(pid, self._name)
        return self._name

    def look(self) -> None:
        """Counts, and kills the tree where it holds too much."""
        if self._tree is None or self.killed:
            return
        held = self._tree.held(limit=self._most)
        if held.unreclaimable > (self._usage.peak or -1):
            self._usage = replace(self._usage, peak=held.unreclaimable, unreclaimable_peak=held.unreclaimable)
        if held.unreclaimable > self._most:
            self.killed = True
            self._tree.kill()

    def pids(self) -> set[int]:
        """The processes of the command that live."""
        return self._tree.pids() if self._tree is not None else set()

    def usage(self) -> Usage:
        """The highest that was seen."""
        return self._usage

    def drop_pages(self) -> None:
        """Does nothing: no page is charged to a watchdog."""

    def close(self) -> None:
        """Kills what is left of the tree."""
        if self._tree is not None:
            self._tree.kill()
