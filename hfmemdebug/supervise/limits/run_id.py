"""Names by which a later start knows what an earlier one has left behind, and the removal of that.

A name holds the process that made it: PID namespace, PID and start time. While that process lives, its
groups, scopes and processes are its own; once it is gone, the next start removes them.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

from hfmemdebug.probes.cgroup import groups
from hfmemdebug.supervise.limits.cgroups import ControlGroup
from hfmemdebug.supervise.limits.limiter import Request

PREFIX = "hfmemdebug-"
# What systemd puts behind the name of a scope.
SCOPE = ".scope"
# In the environment of every process under a limit: it finds those that left the tree.
VARIABLE = "HFMEMDEBUG_LIMIT_ID"
_NAME = re.compile(rf"{PREFIX}(\d+)-(\d+)-(\d+)-[0-9a-f]{{6}}(?:-self|\.scope)?")
_ROUNDS = 20


def new_name() -> str:
    """Makes a name that no other run has, also not another one of this process."""
    pid = os.getpid()
    return f"{PREFIX}{_namespace()}-{pid}-{_start_time(pid) or 0}-{secrets.token_hex(3)}"


def is_orphan(name: str) -> bool:
    """Says if the name was given by a process of this PID namespace that lives no more.

    What another namespace (a container) has named is left alone: its PIDs mean nothing to us.
    """
    match = _NAME.fullmatch(name)
    if match is None or match[1] != str(_namespace()):
        return False
    return _start_time(int(match[2])) != int(match[3])


def sweep() -> None:
    """Removes what runs whose own process was killed have left: processes of this user, control groups, scopes."""
    # A killed process may have forked meanwhile.
    for _ in range(_ROUNDS):
        orphans = list(_orphaned_processes())
        if not orphans:
            break
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    for folder, version in _orphaned_groups():
        with contextlib.suppress(OSError):
            ControlGroup(folder, version, Request(0)).remove(ours=not folder.name.endswith(SCOPE))


def _namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


def _stat(pid: int) -> list[bytes]:
    """Reads the fields of ``/proc/PID/stat`` from the state on (proc_pid_stat(5)); empty where there is none.

    Not psutil: its start times are on a clock that can be set, by which a living run would be taken for another one.
    """
    try:
        # The name before it may hold blanks and brackets.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


def _start_time(pid: int) -> int | None:
    """Reads when a living process was started, in clock ticks since boot; it tells it from a namesake."""
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in (b"Z", b"X") else None


def _orphaned_processes() -> Iterator[int]:
    """Finds processes of this user that carry the name of a run that is over, but none that we come from."""
    marker = f"\0{VARIABLE}={PREFIX}".encode()
    spared = set(_ancestors())
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


def _ancestors() -> Iterator[int]:
    """Lists this process and those that have led to it."""
    pid = os.getpid()
    while pid > 0:
        yield pid
        fields = _stat(pid)
        pid = int(fields[1]) if fields else 0


def _orphaned_groups() -> Iterator[tuple[Path, int]]:
    """Finds groups that carry the name of a run that is over, anywhere in the hierarchy that we see."""
    visible = [(folder, version) for folder, version in groups() if folder.is_dir()]
    for top, version in visible[-1:]:
        for path, names, _ in os.walk(top):
            for name in names:
                if name.startswith(PREFIX) and is_orphan(name):
                    yield Path(path, name), version
