"""Removes what runs whose own process was killed have left: processes, control groups, scopes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from hfmemdebug.probes.cgroup import groups
from hfmemdebug.supervise.limits.group import Group
from hfmemdebug.supervise.limits.run_id import PREFIX, SCOPE, VARIABLE, is_orphan

_ROUNDS = 20


def sweep() -> int:
    """Ends orphaned processes of this user and removes orphaned groups.

    Returns:
        How many processes were ended.
    """
    ended = 0
    # A killed process may have forked meanwhile.
    for _ in range(_ROUNDS):
        orphans = list(_orphaned_processes())
        if not orphans:
            break
        ended += len(orphans)
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    for folder, version in _orphaned_groups():
        with contextlib.suppress(OSError):
            Group(folder, version).remove(ours=not folder.name.endswith(SCOPE))
    return ended


def _orphaned_processes() -> Iterator[int]:
    """Processes of this user that carry the name of a run that is over, but none that we come from."""
    marker = f"\0{VARIABLE}={PREFIX}".encode()
    spared = _ancestors()
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal() or int(entry.name) in spared:
            continue
        with contextlib.suppress(OSError):
            if entry.stat().st_uid != os.geteuid():
                continue
            environment = b"\0" + Path(entry.path, "environ").read_bytes()
            start = environment.find(marker)
            if start < 0:
                continue
            name = environment[start + 1 :].split(b"\0", 1)[0].partition(b"=")[2].decode(errors="replace")
            if is_orphan(name):
                yield int(entry.name)


def _ancestors() -> set[int]:
    """This process and those that have led to it."""
    found = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            break
        pid = int(stat.rpartition(b")")[2].split()[1])
    return found


def _orphaned_groups() -> Iterator[tuple[Path, int]]:
    """Groups that carry the name of a run that is over, anywhere in the hierarchy that we see."""
    top, version = None, 0
    for folder, number in groups():
        if folder.is_dir():
            top, version = folder, number
    if top is None:
        return
    for path, names, _ in os.walk(top):
        for name in names:
            if name.startswith(PREFIX) and is_orphan(name):
                yield Path(path, name), version
