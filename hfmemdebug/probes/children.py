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
        count: How many there are.
        anon: Their anonymous memory, swapped out or not, in bytes. A forked child counts what it shares
            with its parent from its start on: pages that are copied on write do not make it grow.
    """

    count: int
    anon: int


def read_children() -> Children | None:
    """One reading; None where the kernel does not list children (CONFIG_PROC_CHILDREN)."""
    if not Path("/proc/thread-self/children").exists():
        return None
    count, anon = 0, 0
    waiting = [os.getpid()]
    while waiting:
        for child in children_of(waiting.pop()):
            with contextlib.suppress(OSError):
                status = parse_status(Path(f"/proc/{child}/status").read_bytes())
                count += 1
                anon += (status.anon or 0) + (status.swap or 0)
                waiting.append(child)
    return Children(count, anon)


def children_of(pid: int) -> list[int]:
    """The living children of a process, whichever of its threads has started them."""
    children: list[int] = []
    # A process or thread may end between any two lines.
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                children += map(int, Path(f"/proc/{pid}/task/{task}/children").read_bytes().split())
    return children
