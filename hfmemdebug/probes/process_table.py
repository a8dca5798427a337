"""Finds processes, and reads what they were started with and hold open.

Who a process is, psutil says: it tells a process from another one that was given its number by the time at which it
was started. What it does not have stands here: descendants at a price that can be paid ten times a second (psutil
reads every process of the machine), descriptors of memory, and numbers in other PID namespaces.

A process may end between any two lines, so that all of this gives what could be read.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import psutil

from hfmemdebug.probes.status import read_status

# What reading a process raises where it has ended or may not be looked into.
UNREADABLE = (OSError, psutil.Error)
_IDENTITY = re.compile(r"^(Tgid|NSpid):\s*(.*)$", re.MULTILINE)


def is_living(pid: int) -> bool:
    """Says if a process is there and has not ended: one that was not waited for (a zombie) has no memory."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except UNREADABLE:
        return False


def command_line(pid: int) -> tuple[str, ...]:
    """Reads the arguments a process was started with; empty where they cannot be read, and for zombies."""
    with contextlib.suppress(*UNREADABLE):
        return tuple(psutil.Process(pid).cmdline())
    return ()


def environment_of(pid: int) -> dict[str, str]:
    """Reads the environment a process was started with; empty where it may not be read."""
    with contextlib.suppress(*UNREADABLE):
        return dict(psutil.Process(pid).environ())
    return {}


def children_of(pid: int) -> list[int]:
    """Lists the living children of a process, whichever of its threads has started them."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                children += map(int, Path(f"/proc/{pid}/task/{task}/children").read_bytes().split())
    return children


def descendants(pid: int) -> dict[int, int]:
    """Finds every living descendant of a process.

    Returns:
        PID → its parent's, parents before children.
    """
    if not Path("/proc/thread-self/children").exists():
        # A kernel without CONFIG_PROC_CHILDREN.
        with contextlib.suppress(*UNREADABLE):
            return {child.pid: child.ppid() for child in psutil.Process(pid).children(recursive=True)}
        return {}
    found: dict[int, int] = {}
    waiting = [pid]
    while waiting:
        parent = waiting.pop(0)
        for child in children_of(parent):
            if child not in found and child != pid:
                found[child] = parent
                waiting.append(child)
    return found


def anon_of_descendants() -> dict[int, int]:
    """Reads the anonymous memory of this process's living descendants, swapped out or not.

    Returns:
        Bytes by PID. A forked child counts what it shares with its parent from its start on: pages that are copied
        on write do not make it grow. One that has ended and was not waited for has 0.
    """
    found = {}
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            status = read_status(pid)
            found[pid] = (status.anon or 0) + (status.swap or 0)
    return found


class GrowthSinceSeen:
    """Sums what has come in descendants since each was first seen: when one is replaced, what it had goes too."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}

    def of(self, anon_of: dict[int, int]) -> int:
        """Returns the bytes that those which are there now have more, or less, than when they were first seen.

        Args:
            anon_of: As `anon_of_descendants` gives it.
        """
        living = {pid: anon for pid, anon in anon_of.items() if anon}
        self._first = {pid: self._first.get(pid, anon) for pid, anon in living.items()}
        return sum(living.values()) - sum(self._first.values())


def open_files(pid: int | str) -> Iterator[tuple[str, str]]:
    """Yields a process's descriptors, as paths below /proc, and what each leads to; none where it may not be read."""
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                path = f"/proc/{pid}/fd/{name}"
                yield path, os.readlink(path)  # noqa: PTH115


def thread_group(pid: int) -> int | None:
    """Returns the process that a number belongs to: another one where it is that of a thread; None without any."""
    found = _identity(pid).get("Tgid")
    return int(found) if found else None


def inside_containers(pid: int) -> tuple[int, ...]:
    """Finds processes that have this number in a PID namespace of their own, by the number that they have here."""
    found = []
    for other in psutil.pids():
        numbers = _identity(other).get("NSpid", "").split()
        if len(numbers) > 1 and numbers[-1] == str(pid):
            found.append(other)
    return tuple(found)


def _identity(pid: int) -> dict[str, str]:
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        return dict(_IDENTITY.findall(text))
    return {}
