"""What /proc says of another process: who it is, whether it still is the same, what it holds open.

A process may end between any two lines, and its number may be given to another one: the time at which
it was started tells them apart.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hfmemdebug.probes.children import children_of
from hfmemdebug.probes.smaps import Memory, ProcessMemory, parse_rollup, parse_smaps

_STATUS = re.compile(rb"^(Tgid|Uid|Kthread|NSpid):\s*(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Stat:
    """The lines of ``/proc/PID/stat`` that identify a process.

    Attributes:
        pid: Its number.
        comm: The name of its main thread, 15 characters at most.
        state: ``R``, ``S``, ``D``, ``T``, ``Z`` (ended, and nobody has waited for it), ``X``.
        ppid: Its parent.
        started: When it was started, in clock ticks since the machine was.
        kernel: Whether it is a thread of the kernel's.
    """

    pid: int
    comm: str
    state: str
    ppid: int
    started: int
    kernel: bool = False


@dataclass(frozen=True)
class Identity:
    """What ``/proc/PID/status`` says beside the memory.

    Attributes:
        tgid: The process; another number than the PID where the PID is that of a thread.
        uid: The real user.
        ns_pids: Its numbers, from this PID namespace inwards.
    """

    tgid: int | None
    uid: int | None
    ns_pids: tuple[int, ...]


def parse_stat(text: bytes) -> Stat:
    """Reads ``/proc/PID/stat`` (proc_pid_stat(5)); the name in it may hold blanks and brackets.

    Raises:
        ValueError: It has another shape.
    """
    pid, _, rest = text.partition(b" (")
    comm, bracket, rest = rest.rpartition(b") ")
    parts = rest.split()
    if not bracket or len(parts) < 20:
        raise ValueError("not a stat line")
    # PF_KTHREAD, include/linux/sched.h.
    kernel = bool(int(parts[6]) & 0x00200000)
    return Stat(
        int(pid), comm.decode("utf-8", "replace"), parts[0].decode(), int(parts[1]), int(parts[19]), kernel
    )


def parse_identity(text: bytes) -> Identity:
    """Reads who a process is from the text of ``/proc/PID/status``."""
    found = {name: value.split() for name, value in _STATUS.findall(text)}

    def first(name: bytes) -> int | None:
        return int(found[name][0]) if found.get(name) else None

    return Identity(first(b"Tgid"), first(b"Uid"), tuple(map(int, found.get(b"NSpid", ()))))


def read_stat(pid: int) -> Stat | None:
    """Who a process is; None where there is none, or it may not be seen."""
    with contextlib.suppress(OSError, ValueError):
        return parse_stat(Path(f"/proc/{pid}/stat").read_bytes())
    return None


def read_identity(pid: int) -> Identity | None:
    """Thread or process, user and namespaces; None as for `read_stat`."""
    with contextlib.suppress(OSError):
        return parse_identity(Path(f"/proc/{pid}/status").read_bytes())
    return None


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments a process was started with; empty where they cannot be read, and for zombies."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
        return tuple(part.decode("utf-8", "replace") for part in text.split(b"\0")) if text else ()
    return ()


def environment_of(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty where it may not be read."""
    with contextlib.suppress(OSError):
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        pairs = (entry.decode("utf-8", "replace").partition("=") for entry in entries)
        return {name: value for name, _, value in pairs if name}
    return {}


def open_files(pid: int) -> dict[int, str]:
    """Descriptor → what it leads to; empty where that may not be read."""
    files: dict[int, str] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                files[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")  # noqa: PTH115
    return files


def read_rollup(pid: int) -> Memory:
    """Sums over all mappings.

    Raises:
        OSError: It has ended, may not be read, or the kernel is older than 4.14.
    """
    return parse_rollup(Path(f"/proc/{pid}/smaps_rollup").read_bytes())


def read_smaps(pid: int, is_memory: Callable[[str], bool]) -> ProcessMemory:
    """Memory by kind and by file.

    Raises:
        OSError: It has ended, or may not be read.
    """
    return parse_smaps(Path(f"/proc/{pid}/smaps").read_bytes(), is_memory)


def descendants(pid: int) -> dict[int, int]:
    """Every living descendant's PID → its parent's, parents before children.

    Kernels without CONFIG_PROC_CHILDREN are asked for all processes instead.
    """
    found: dict[int, int] = {}
    listed = Path("/proc/thread-self/children").exists()
    parents = {} if listed else _children_by_parent()
    waiting = [pid]
    while waiting:
        parent = waiting.pop(0)
        for child in children_of(parent) if listed else parents.get(parent, ()):
            if child not in found and child != pid:
                found[child] = parent
                waiting.append(child)
    return found


def _children_by_parent() -> dict[int, list[int]]:
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        stat = read_stat(int(name)) if name.isdecimal() else None
        if stat is not None:
            parents.setdefault(stat.ppid, []).append(stat.pid)
    return parents


def inside_containers(pid: int) -> tuple[int, ...]:
    """Processes that have this number in a PID namespace of their own, by the number that they have here."""
    found = []
    for name in os.listdir("/proc"):
        identity = read_identity(int(name)) if name.isdecimal() else None
        if identity is not None and len(identity.ns_pids) > 1 and identity.ns_pids[-1] == pid:
            found.append(int(name))
    return tuple(found)
