"""The living descendants of this process: worker pools, DataLoader workers, whatever was started."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from hfmemdebug.probes.status import parse_status


@dataclass(frozen=True)
class Children:
    """What the living descendants have.

    Attributes:
        anon_of: By PID, their anonymous memory, swapped out or not, in bytes. A forked child counts what it shares
            with its parent from its start on: pages that are copied on write do not make it grow.
    """

    anon_of: dict[int, int]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.anon_of)

    @property
    def anon(self) -> int:
        """What they have together."""
        return sum(self.anon_of.values())


class Growth:
    """What has come in descendants since each was first seen: what one has had goes with it when it is replaced."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}

    def of(self, children: Children) -> int:
        """Bytes that those which are there now have more, or less, than as they were first seen."""
        # One that has ended, and that nobody has waited for, has nothing.
        living = {pid: anon for pid, anon in children.anon_of.items() if anon}
        self._first = {pid: self._first.get(pid, anon) for pid, anon in living.items()}
        return sum(living.values()) - sum(self._first.values())


def read_children() -> Children | None:
    """One reading; None where the kernel does not list children (CONFIG_PROC_CHILDREN)."""
    if not Path("/proc/thread-self/children").exists():
        return None
    anon_of: dict[int, int] = {}
    waiting = [os.getpid()]
    while waiting:
        for child in children_of(waiting.pop()):
            with contextlib.suppress(OSError):
                status = parse_status(Path(f"/proc/{child}/status").read_bytes())
                anon_of[child] = (status.anon or 0) + (status.swap or 0)
                waiting.append(child)
    return Children(anon_of)


def children_of(pid: int) -> list[int]:
    """The living children of a process, whichever of its threads has started them."""
    children: list[int] = []
    # A process or thread may end between any two lines.
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                children += map(int, Path(f"/proc/{pid}/task/{task}/children").read_bytes().split())
    return children
