"""Names by which a later start knows what an earlier one has left behind.

A name holds the process that made it: PID namespace, PID and start time. While that process lives, its
groups, scopes and processes are its own; once it is gone, whoever starts next may remove them.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

PREFIX = "hfmemdebug-"
# What systemd puts behind the name of a scope.
SCOPE = ".scope"
# In the environment of every process under a limit: it finds those that left the tree.
VARIABLE = "HFMEMDEBUG_LIMIT_ID"
_NAME = re.compile(rf"{PREFIX}(\d+)-(\d+)-(\d+)-[0-9a-f]{{6}}(?:-self|\.scope)?")


def new_name() -> str:
    """A name that no other run has, also not another one of this process."""
    pid = os.getpid()
    return f"{PREFIX}{_namespace()}-{pid}-{_start_time(pid) or 0}-{secrets.token_hex(3)}"


def is_orphan(name: str) -> bool:
    """Whether the name was given by a process of this PID namespace that lives no more.

    What another namespace (a container) has named is nobody's here: its PIDs mean nothing to us.
    """
    match = _NAME.fullmatch(name)
    if match is None or match[1] != str(_namespace()):
        return False
    return _start_time(int(match[2])) != int(match[3])


def _namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


def _start_time(pid: int) -> int | None:
    """Clock ticks since boot, which tell a process from an earlier one of the same PID (proc(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name before it may hold blanks and brackets.
    state, *fields = stat.rpartition(b")")[2].split()
    return None if state in (b"Z", b"X") else int(fields[18])
