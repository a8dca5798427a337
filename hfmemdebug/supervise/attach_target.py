"""The process that somebody names: whether it is one, and one clear line where it is not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hfmemdebug.errors import AccessError, InputError, UsageError
from hfmemdebug.probes import foreign


def find_target(pid: int) -> foreign.Stat:
    """Finds a process that can be looked at.

    Returns:
        Who it is; its time of start tells it from another one that is given the same number later.

    Raises:
        InputError: There is no such process, it has ended, or it is a thread or the kernel's.
        AccessError: It may not be seen, or this system has no /proc.
        UsageError: It is this process.
    """
    if not sys.platform.startswith("linux") or not Path("/proc/self/stat").exists():
        raise AccessError("attach reads Linux's /proc, which this system does not have")
    if pid == os.getpid():
        raise UsageError(f"{pid} is hfmemdebug itself", next="Give the PID of another process.")
    stat = foreign.read_stat(pid)
    if stat is None:
        raise _missing(pid)
    if stat.kernel:
        raise InputError(f"{pid} ({stat.comm}) is a thread of the kernel, which has no memory of its own")
    if stat.state in "ZX":
        raise InputError(
            f"process {pid} ({stat.comm}) has ended, and its parent {stat.ppid} has not waited for it yet: "
            "it has no memory any more",
            next=f"Look at its parent instead: hfmemdebug attach {stat.ppid}.",
        )
    identity = foreign.read_identity(pid)
    if identity is not None and identity.tgid not in (None, pid):
        raise InputError(
            f"{pid} is a thread of process {identity.tgid}, and threads share their process's memory",
            next=f"hfmemdebug attach {identity.tgid}",
        )
    return stat


def _missing(pid: int) -> InputError | AccessError:
    inside = foreign.inside_containers(pid)
    if inside:
        places = ", ".join(map(str, inside[:5]))
        return InputError(
            f"there is no process {pid} here, but a container numbers one so that is {places} outside of it",
            next=f"hfmemdebug attach {inside[0]}",
        )
    try:
        os.kill(pid, 0)
    except PermissionError:
        return _hidden(pid)
    except (OSError, OverflowError):
        return InputError(
            f"there is no process {pid}", next="`pgrep -af python` lists what runs under which PID."
        )
    return _hidden(pid)


def _hidden(pid: int) -> AccessError:
    return AccessError(
        f"process {pid} is another user's and /proc does not show it (hidepid)",
        next="Run as that user or as root.",
    )
