"""How much memory the control groups leave to this process, on cgroup v1, v2 and hybrid hosts.

A limit may stand at any ancestor of the process's own group (a pod's, a slice's), so all of them are
read. Texts are parsed by pure functions; what cannot be read is None and nothing raises.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# cgroup v1 writes "no limit" as LONG_MAX rounded down to a page, whose size differs by machine.
_V1_UNLIMITED = 1 << 62


@dataclass(frozen=True)
class Membership:
    """The groups of a process, as `/proc/PID/cgroup` names them.

    Attributes:
        unified: Path in the v2 hierarchy, or None where there is none.
        memory_v1: Path in the v1 hierarchy of the memory controller, or None.
        v1: Whether any v1 hierarchy is in use.
    """

    unified: str | None
    memory_v1: str | None
    v1: bool

    @property
    def description(self) -> str:
        """Which version accounts for memory: ``v2``, ``v1``, ``v1 (hybrid)``, ``v2 (hybrid)`` or ``none``."""
        if self.memory_v1 is not None:
            return "v1 (hybrid)" if self.unified is not None else "v1"
        if self.unified is not None:
            return "v2 (hybrid)" if self.v1 else "v2"
        return "none"


@dataclass(frozen=True)
class Mount:
    """A mounted cgroup hierarchy: its version, the group at its root, and where it is mounted."""

    version: int
    root: str
    point: str


def parse_cgroup(text: str) -> Membership:
    """Reads the text of `/proc/PID/cgroup` (cgroups(7): ``hierarchy:controllers:path``)."""
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


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """Finds the v2 hierarchy and v1's memory hierarchy in the text of `/proc/PID/mountinfo` (proc(5))."""
    mounts = []
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if not separator or len(left) < 6 or len(right) < 3:
            continue
        version = 2 if right[0] == "cgroup2" else 1
        if version == 2 or (right[0] == "cgroup" and "memory" in right[2].split(",")):
            mounts.append(Mount(version, _unescape(left[3]), _unescape(left[4])))
    return tuple(mounts)


def memory_limit(*, root: Path = Path("/")) -> int | None:
    """The lowest limit in bytes among this process's group and its ancestors; None where there is none.

    Args:
        root: Where `/proc` and `/sys` are found.
    """
    limits = (
        limit for folder, version in groups(root=root) if (limit := group_limit(folder, version)) is not None
    )
    return min(limits, default=None)


def memory_total(*, root: Path = Path("/")) -> int | None:
    """Bytes that this process could ever have: the machine's memory, or a lower limit; None where neither is known.

    Args:
        root: Where `/proc` and `/sys` are found.
    """
    known = [memory_limit(root=root), parse_meminfo(_read(root / "proc/meminfo") or "").get("MemTotal")]
    return min((value for value in known if value is not None), default=None)


def memory_available(*, root: Path = Path("/")) -> int | None:
    """Bytes that this process may still use before the kernel kills or throttles it.

    That is the least of the machine's MemAvailable and, for this process's group and each ancestor, the
    limit less what is in use; file pages count as free, since the kernel drops them first.

    Args:
        root: Where `/proc` and `/sys` are found.

    Returns:
        Bytes, never below 0; None where neither the machine nor a group could be read.
    """
    free = [_headroom(folder, version) for folder, version in groups(root=root)]
    free.append(parse_meminfo(_read(root / "proc/meminfo") or "").get("MemAvailable"))
    return max(0, min(known)) if (known := [value for value in free if value is not None]) else None


def cgroup_version(*, root: Path = Path("/")) -> str:
    """Which version accounts for this process's memory, see `Membership.description`."""
    return parse_cgroup(_read(root / "proc/self/cgroup") or "").description


def oom_kills(*, root: Path = Path("/")) -> int | None:
    """How often the OOM killer has struck in this process's own group and below it; None if unknown."""
    for folder, version in groups(root=root):
        text = _read(folder / ("memory.oom_control" if version == 1 else "memory.events"))
        found = re.search(r"^oom_kill (\d+)$", text or "", re.MULTILINE)
        if found is not None:
            return int(found[1])
    return None


def parse_meminfo(text: str) -> dict[str, int]:
    """Reads `/proc/meminfo` into bytes by name."""
    values = {}
    for name, number, unit in re.findall(r"^(\S+):\s+(\d+)( kB)?", text, re.MULTILINE):
        values[name] = int(number) * (1024 if unit else 1)
    return values


def groups(*, pid: int | str = "self", root: Path = Path("/")) -> Iterator[tuple[Path, int]]:
    """The folder of a process's memory group and of each visible ancestor, the nearest first.

    Args:
        pid: The process.
        root: Where `/proc` and `/sys` are found.

    Yields:
        A folder, and the version (1 or 2) of its hierarchy. Neither needs to exist.
    """
    membership = parse_cgroup(_read(root / f"proc/{pid}/cgroup") or "")
    version = 1 if membership.memory_v1 is not None else 2
    path = membership.memory_v1 if version == 1 else membership.unified
    if path is None:
        return
    mounts = [m for m in parse_mounts(_read(root / "proc/self/mountinfo") or "") if m.version == version]
    mount = mounts[0] if mounts else Mount(version, "/", f"/sys/fs/cgroup{'/memory' if version == 1 else ''}")
    # A container often sees its own group as the mount's root, under the name that the host gives it.
    relative = posixpath.relpath(path, mount.root)
    parts = [] if relative == "." or relative.startswith("..") else relative.split("/")
    point = root / mount.point.lstrip("/")
    for depth in range(len(parts), -1, -1):
        yield point.joinpath(*parts[:depth]), version


def group_limit(folder: Path, version: int) -> int | None:
    """The limit of one group in bytes, whatever its ancestors have; None where it has none."""
    limit = _number(folder / ("memory.limit_in_bytes" if version == 1 else "memory.max"))
    return None if limit is None or limit >= _V1_UNLIMITED else limit


def group_usage(folder: Path, version: int) -> int | None:
    """Bytes that are charged to one group; None where that cannot be read."""
    return _number(folder / ("memory.usage_in_bytes" if version == 1 else "memory.current"))


def group_stat(folder: Path) -> dict[str, int]:
    """The lines of one group's ``memory.stat``; empty where it cannot be read."""
    found = re.findall(r"^(\S+) (\d+)$", _read(folder / "memory.stat") or "", re.MULTILINE)
    return {name: int(value) for name, value in found}


def _headroom(folder: Path, version: int) -> int | None:
    limits = [group_limit(folder, version)]
    if version == 2:
        # Above memory.high nothing is killed, but without swap the process all but stands still.
        limits.append(_number(folder / "memory.high"))
    known = [limit for limit in limits if limit is not None]
    usage = group_usage(folder, version)
    if not known or usage is None:
        return min(known, default=None)
    stat = group_stat(folder)
    prefix = "total_" if version == 1 else ""
    cached = sum(stat.get(f"{prefix}{name}", 0) for name in ("inactive_file", "active_file"))
    return min(known) - max(0, usage - cached)


def _number(path: Path) -> int | None:
    text = (_read(path) or "").strip()
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
