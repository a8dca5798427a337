"""Becomes the command: enters its control group, waits until the limit was seen to hold, executes.

Run as a file by a bare interpreter (`python -I -S exec_shim.py TASK COMMAND…`), so that it imports nothing of ours
and starts in milliseconds. It keeps its PID: the process that was started is the command. The parent hears ``ready``
and, where the command cannot be executed, the error's number; an end of file means that it runs.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1
# Keeps a systemd scope alive until its figures were read, and empties it when its owner dies.
_HOLDER = (
    'read -r _; echo 1 2>/dev/null >"$0/cgroup.kill" || '
    'while read -r p; do [ "$p" = $$ ] || kill -9 "$p"; done <"$0/cgroup.procs"'
)


def main(task: dict[str, Any], command: list[str]) -> None:
    """Enters, waits, executes.

    Args:
        task: ``report`` and ``go`` (descriptors of pipes to and from the parent), ``parent`` (its PID),
            ``stderr`` (a descriptor that becomes standard error, or None), ``enter`` (files to which the
            process writes itself), ``hold`` (a descriptor on which a process waits that keeps the group
            alive, or None), ``unset`` (environment variables), ``mask`` (blocked signals), ``ignored`` (ignored ones).
        command: The command and its arguments.
    """
    report, go, hold = task["report"], task["go"], task["hold"]
    for descriptor in (report, go):
        os.set_inheritable(descriptor, False)
    if task["stderr"] is not None:
        os.dup2(task["stderr"], 2)
        os.close(task["stderr"])
    end_with(task["parent"])
    for name in task["unset"]:
        os.environ.pop(name, None)
    try:
        for path in task["enter"]:
            group = os.open(path, os.O_WRONLY)
            os.write(group, b"0")
            os.close(group)
    except OSError as error:
        os.write(report, f"refused {error.strerror}: {path}\n".encode())
        os._exit(125)
    os.write(report, b"ready\n")
    # An end of file: the parent has gone, or has found that the limit does not hold.
    name = os.read(go, 65536)
    if not name:
        os._exit(125)
    if hold is not None:
        _leave_holder(hold, name.decode().rstrip("\n"), report)
        os.close(hold)
    # Python ignores these; programs expect them as they were.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    restore_signals(task["mask"], task["ignored"])
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(report, f"exec {error.errno}\n".encode())
    except ValueError:
        # Python refuses an empty name, which the kernel would not find.
        os.write(report, f"exec {errno.ENOENT}\n".encode())
    os._exit(127)


def prctl(option: int, value: int) -> None:
    """Sets an attribute of this process; does nothing where the system has none (not Linux)."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(option, value)


def end_with(parent: int) -> None:
    """Has the kernel kill this process, and what it becomes, when its parent dies; ends at once if it has died already.

    Args:
        parent: PID of the process that has started this one.
    """
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(125)


def restore_signals(mask: list[int], ignored: list[int]) -> None:
    """Gives signals the state in which the supervisor has found them, just before the command is executed.

    Args:
        mask: Signals that were blocked.
        ignored: Signals that were ignored.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _leave_holder(hold: int, group: str, report: int) -> None:
    """Leaves a small shell in the group, a child of init's, that waits for the end of `hold`."""
    if os.fork() == 0:
        holder = os.fork()
        if holder:
            os.write(report, f"holder {holder}\n".encode())
            os._exit(0)
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(hold, 0)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.closerange(3, 65536)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execv("/bin/sh", ["sh", "-c", _HOLDER, group])
    os.wait()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
