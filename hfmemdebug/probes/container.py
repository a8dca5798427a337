"""What a container's dashboard shows of its memory, beside what the OOM killer goes by.

Dashboards show *usage*, or *working set*: usage without the inactive file pages, which is also what Kubernetes
evicts by. Active file pages are in both, and yet the kernel takes them back before it kills anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hfmemdebug.probes.cgroup import group_limit, group_stat, group_usage, groups


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


def container_memory(*, root: Path = Path("/")) -> GroupMemory | None:
    """The figures of the control group whose limit would be reached first; of our own where there is no limit.

    Args:
        root: Where `/proc` and `/sys` are found.

    Returns:
        None where memory is not accounted by control groups.
    """
    found = [_read_group(folder, version) for folder, version in groups(root=root)]
    found = [memory for memory in found if memory.usage is not None]
    limited = [memory for memory in found if memory.limit is not None]
    return min(limited, key=_room) if limited else found[0] if found else None


def parse_pressure(text: str) -> dict[str, float]:
    """Reads a PSI file (Documentation/accounting/psi.rst).

    Returns:
        ``some`` and ``full``, each the share of the last ten seconds in per cent, and ``some_total`` and
        ``full_total`` in seconds since the group was made.
    """
    values = {}
    for kind, recent, total in re.findall(r"^(some|full) avg10=([\d.]+) .*total=(\d+)$", text, re.MULTILINE):
        values[kind] = float(recent)
        values[f"{kind}_total"] = int(total) / 1e6
    return values


def memory_pressure(*, root: Path = Path("/")) -> dict[str, float]:
    """The pressure of our own control group, or of the machine; empty where the kernel has no PSI."""
    own = next((folder for folder, version in groups(root=root) if version == 2), None)
    for path in (own / "memory.pressure" if own else None, root / "proc/pressure/memory"):
        if path is not None:
            try:
                return parse_pressure(path.read_text())
            except OSError:
                continue
    return {}


def _read_group(folder: Path, version: int) -> GroupMemory:
    usage = group_usage(folder, version)
    stat = group_stat(folder)
    prefix = "total_" if version == 1 else ""
    inactive, active = (stat.get(f"{prefix}{name}") for name in ("inactive_file", "active_file"))
    return GroupMemory(
        limit=group_limit(folder, version),
        usage=usage,
        working_set=max(0, usage - inactive) if usage is not None and inactive is not None else None,
        unreclaimable=(
            max(0, usage - inactive - active)
            if usage is not None and inactive is not None and active is not None
            else None
        ),
    )


def _room(memory: GroupMemory) -> int:
    return (memory.limit or 0) - (memory.unreclaimable or memory.usage or 0)
