"""Reads how much memory the control groups leave to this process, on cgroup v1, v2 and hybrid hosts.

A limit may stand at any ancestor of the process's own group (a pod's, a slice's), so all of them are read.

Dashboards show *usage*, or *working set*: usage without the inactive file pages, which is also what Kubernetes evicts
by. Active file pages are in both, and yet the kernel takes them back before it kills anything.

What cannot be read is None, and nothing raises. ``root`` is everywhere where `/proc` and `/sys` are found.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hfmemdebug.probes.mounts import Mount, read_mounts

# cgroup v1 writes "no limit" as LONG_MAX rounded down to a page, whose size differs by machine.
_V1_UNLIMITED = 1 << 62


@dataclass(frozen=True)
class Membership:
    """The groups of a process, as `/proc/PID/cgroup` names them.

    Attributes:
        unified: Path in the v2 hierarchy, or None where there is none.
        memory_v1: Path in the v1 hierarchy of the memory controller, or None.
        v1: Any v1 hierarchy is in use.
    """

    unified: str | None
    memory_v1: str | None
    v1: bool

    @property
    def description(self) -> str:
        """Names the version that accounts for memory: ``v2``, ``v1``, ``v1 (hybrid)``, ``v2 (hybrid)`` or ``none``."""
        if self.memory_v1 is not None:
            return "v1 (hybrid)" if self.unified is not None else "v1"
        if self.unified is not None:
            return "v2 (hybrid)" if self.v1 else "v2"
        return "none"


@dataclass(frozen=True)
class GroupMemory:
    """The figures of one control group, in bytes; None where a figure cannot be read.

    Attributes:
        limit: Its own limit, or None where it has none.
        usage: All that is charged to it.
        working_set: Usage without inactive file pages, as Kubernetes and cAdvisor have it.
        unreclaimable: Usage without any file pages that could be dropped: what ends in an OOM kill.
    """

    limit: int | None
    usage: int | None
    working_set: int | None
    unreclaimable: int | None


def parse_cgroup(text: str) -> Membership:
    """Parses the text of `/proc/PID/cgroup` (cgroups(7): ``hierarchy:controllers:path``)."""
    unified = memory = None
    v1 = False
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, separator, path = rest.partition(":")
        if not separator:
            continue
        if number == "0" and not controllers:
            unified = path
            continue
        v1 = True
        if "memory" in controllers.split(","):
            memory = path
    return Membership(unified, memory, v1)


def parse_pressure(text: str) -> dict[str, float]:
    """Parses a PSI file (Documentation/accounting/psi.rst).

    Returns:
        ``some`` and ``full``, each the share of the last ten seconds in per cent.
    """
    found = re.findall(r"^(some|full) avg10=([\d.]+) ", text, re.MULTILINE)
    return {kind: float(recent) for kind, recent in found}


def cgroup_version(*, root: Path = Path("/")) -> str:
    """Names the version that accounts for this process's memory, see `Membership.description`."""
    return parse_cgroup(_read(root / "proc/self/cgroup") or "").description


def memory_limit(*, root: Path = Path("/")) -> int | None:
    """Returns the lowest limit in bytes among this process's group and its ancestors; None where there is none."""
    limits = (group_limit(folder, version) for folder, version in groups(root=root))
    return min((limit for limit in limits if limit is not None), default=None)


def memory_total(*, root: Path = Path("/")) -> int:
    """Returns the bytes that this process could ever have: the machine's memory, or a lower limit."""
    import psutil  # Not for `--help`.

    total: int = psutil.virtual_memory().total
    limit = memory_limit(root=root)
    return total if limit is None else min(total, limit)


def memory_available(*, root: Path = Path("/")) -> int:
    """Returns the bytes that this process may still use before the kernel kills or throttles it.

    That is the least of the machine's MemAvailable and, for this process's group and each ancestor, the
    limit less what is in use; file pages count as free, since the kernel drops them first.

    Returns:
        Bytes, never below 0.
    """
    import psutil

    free = [_headroom(folder, version) for folder, version in groups(root=root)]
    free.append(psutil.virtual_memory().available)
    return max(0, min(value for value in free if value is not None))


def container_memory(*, root: Path = Path("/")) -> GroupMemory | None:
    """Reads the control group whose limit would be reached first, or our own where there is no limit.

    Returns:
        None where memory is not accounted by control groups.
    """
    found = [_read_group(folder, version) for folder, version in groups(root=root)]
    found = [memory for memory in found if memory.usage is not None]
    limited = [memory for memory in found if memory.limit is not None]
    if limited:
        return min(limited, key=lambda m: (m.limit or 0) - (m.unreclaimable or m.usage or 0))
    return found[0] if found else None


def memory_pressure(*, root: Path = Path("/")) -> dict[str, float]:
    """Reads the pressure of our own control group, or of the machine; empty where the kernel has no PSI."""
    own = next((folder for folder, version in groups(root=root) if version == 2), None)
    text = _read(own / "memory.pressure") if own is not None else None
    return parse_pressure(text or _read(root / "proc/pressure/memory") or "")


def oom_kills(*, root: Path = Path("/")) -> int | None:
    """Counts how often the OOM killer has struck in this process's own group and below it."""
    for folder, version in groups(root=root):
        counts = group_stat(folder, "memory.oom_control" if version == 1 else "memory.events")
        if "oom_kill" in counts:
            return counts["oom_kill"]
    return None


def groups(*, pid: int | str = "self", root: Path = Path("/")) -> Iterator[tuple[Path, int]]:
    """Yields the folder of a process's memory group and of each visible ancestor, the nearest first.

    Yields:
        A folder, and the version (1 or 2) of its hierarchy. Neither needs to exist.
    """
    membership = parse_cgroup(_read(root / f"proc/{pid}/cgroup") or "")
    version = 1 if membership.memory_v1 is not None else 2
    path = membership.memory_v1 if version == 1 else membership.unified
    if path is None:
        return
    usual = Mount("/", f"/sys/fs/cgroup{'/memory' if version == 1 else ''}", "cgroup")
    mount = next((m for m in read_mounts(root=root) if _accounts_for_memory(m, version)), usual)
    # A container often sees its own group as the mount's root, under the name that the host gives it.
    relative = posixpath.relpath(path, mount.root)
    parts = [] if relative == "." or relative.startswith("..") else relative.split("/")
    point = root / mount.mount_point.lstrip("/")
    for depth in range(len(parts), -1, -1):
        yield point.joinpath(*parts[:depth]), version


def group_limit(folder: Path, version: int) -> int | None:
    """Reads the limit of one group in bytes, whatever its ancestors have; None where it has none."""
    limit = _number(folder / ("memory.limit_in_bytes" if version == 1 else "memory.max"))
    return None if limit is None or limit >= _V1_UNLIMITED else limit


def group_usage(folder: Path, version: int) -> int | None:
    """Reads the bytes that are charged to one group."""
    return _number(folder / ("memory.usage_in_bytes" if version == 1 else "memory.current"))


def group_stat(folder: Path, file: str = "memory.stat") -> dict[str, int]:
    """Reads a file of names and numbers of one group; empty where it cannot be read."""
    found = re.findall(r"^(\S+) (\d+)$", _read(folder / file) or "", re.MULTILINE)
    return {name: int(value) for name, value in found}


def _accounts_for_memory(mount: Mount, version: int) -> bool:
    if version == 2:
        return mount.filesystem == "cgroup2"
    return mount.filesystem == "cgroup" and "memory" in mount.options


def _read_group(folder: Path, version: int) -> GroupMemory:
    usage, stat = group_usage(folder, version), group_stat(folder)
    prefix = "total_" if version == 1 else ""
    working_set = unreclaimable = None
    if usage is not None and f"{prefix}inactive_file" in stat:
        working_set = max(0, usage - stat[f"{prefix}inactive_file"])
        unreclaimable = max(0, working_set - stat.get(f"{prefix}active_file", 0))
    return GroupMemory(group_limit(folder, version), usage, working_set, unreclaimable)


def _headroom(folder: Path, version: int) -> int | None:
    memory = _read_group(folder, version)
    # Above memory.high nothing is killed, but without swap the process all but stands still.
    limits = (memory.limit, _number(folder / "memory.high") if version == 2 else None)
    lowest = min((limit for limit in limits if limit is not None), default=None)
    if lowest is None or memory.usage is None:
        return lowest
    return lowest - (memory.usage if memory.unreclaimable is None else memory.unreclaimable)


def _number(path: Path) -> int | None:
    text = (_read(path) or "").strip()
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
