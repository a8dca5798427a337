"""Starts a command inside a limit, and lets it run only once the limit was seen to hold."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hfmemdebug.errors import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_OWN_FAILURE, HfmemdebugError
from hfmemdebug.supervise.limits.choose import AUTO, candidates
from hfmemdebug.supervise.limits.enclosure import Enclosure, Request, Unavailable
from hfmemdebug.supervise.limits.run_id import VARIABLE, new_name
from hfmemdebug.units import format_bytes

# glibc's posix_spawn leaves two of its own signals ignored in the child, which would be passed on.
# The switch is in the documentation of `subprocess`.
subprocess._USE_POSIX_SPAWN = False  # type: ignore[misc, unused-ignore]

_LAUNCHER = Path(__file__).with_name("exec_shim.py")
_START_WITHIN_SECONDS = 30.0
_END_WITHIN_SECONDS = 2.0


class LimitError(HfmemdebugError):
    """The limit or its command could not be started.

    Args:
        message: One line that says what is wrong.
        status: The exit status, as `env` and `timeout` have it.
        next: One line that says what to do about it, or None.
    """

    kind = "permission"

    def __init__(self, message: str, status: int = EXIT_OWN_FAILURE, *, next: str | None = None) -> None:
        super().__init__(message, next=next)
        self._status = status
        if status != EXIT_OWN_FAILURE:
            self.kind = "input"

    @property
    def exit_status(self) -> int:
        """The status that the command ends with."""
        return self._status


@dataclass
class Started:
    """A command that runs inside a limit.

    Attributes:
        process: The command; its PID is the command's own.
        enclosure: What it runs in.
        request: The limit that is in force.
        holder: PID of the process that keeps the group alive, or None.
        passed_over: Mechanisms that were tried before, with why they do not work.
    """

    process: subprocess.Popen[bytes]
    enclosure: Enclosure
    request: Request
    holder: int | None = None
    passed_over: dict[str, str] = field(default_factory=dict)
    hold: int | None = None

    def close(self) -> None:
        """Kills what is left inside and removes the enclosure."""
        self.enclosure.close()
        if self.hold is not None:
            os.close(self.hold)
            self.hold = None


def start(
    command: Sequence[str],
    request: Request,
    *,
    backend: str = AUTO,
    environment: Mapping[str, str] | None = None,
    mask: Sequence[int] = (),
    pass_fds: Sequence[int] | None = None,
    **popen: Any,
) -> Started:
    """Starts a command under the first mechanism that works.

    Args:
        command: The command and its arguments.
        request: The limit.
        backend: A mechanism's name, or ``auto``.
        environment: The command's environment, by default this process's.
        mask: Signals that are to be blocked in the command.
        pass_fds: Descriptors that it gets; by default all that are inheritable.
        popen: Further arguments of `subprocess.Popen`: its standard streams, its session.

    Raises:
        UsageError: There is no such mechanism.
        LimitError: None works, or the command cannot be executed.
    """
    passed_over: dict[str, str] = {}
    for name, opener in candidates(backend):
        try:
            run = new_name()
            enclosure = opener(request, run)
            try:
                started = _start_in(enclosure, run, command, request, environment, mask, pass_fds, popen)
            except BaseException:
                enclosure.close()
                raise
        except Unavailable as why:
            passed_over[name] = str(why)
            continue
        started.passed_over = passed_over
        return started
    reasons = "; ".join(f"{name}: {why}" for name, why in passed_over.items())
    if backend != AUTO:
        raise LimitError(
            f"--backend {backend} does not work here: {passed_over[backend]}",
            next="`hfmemdebug env` lists what works.",
        )
    raise LimitError(
        f"no memory limit can be set here ({reasons})",
        next="`hfmemdebug env` lists what works; --backend watchdog needs no privilege.",
    )


def _start_in(
    enclosure: Enclosure,
    run: str,
    command: Sequence[str],
    request: Request,
    environment: Mapping[str, str] | None,
    mask: Sequence[int],
    pass_fds: Sequence[int] | None,
    popen: dict[str, Any],
) -> Started:
    """One attempt.

    Raises:
        Unavailable: The limit did not come into force; the command was not run.
        LimitError: The command cannot be executed.
    """
    with _Descriptors() as own, _Descriptors() as theirs:
        report, report_of_child = os.pipe()
        go_of_child, go = os.pipe()
        own.add(report, go)
        theirs.add(report_of_child, go_of_child)
        task: dict[str, Any] = {
            "report": report_of_child,
            "go": go_of_child,
            "hold": None,
            "stderr": None,
            "parent": os.getpid(),
            "enter": enclosure.enter,
            "unset": list(enclosure.environment),
            "mask": list(map(int, mask)),
            "interruptible": signal.getsignal(signal.SIGINT) is not signal.SIG_IGN,
        }
        options = dict(popen)
        complaint = hold = None
        if enclosure.needs_holder:
            task["hold"], hold = os.pipe()
            own.add(hold)
            theirs.add(task["hold"])
        if enclosure.prefix:
            # What the tool before the launcher complains of is ours to say; the launcher puts this back.
            given = options.get("stderr")
            if given == subprocess.DEVNULL:
                task["stderr"] = os.open(os.devnull, os.O_WRONLY)
            else:
                task["stderr"] = os.dup(given if isinstance(given, int) else 2)
            complaint, options["stderr"] = os.pipe()
            own.add(complaint)
            theirs.add(task["stderr"], options["stderr"])
        inherited = os.environ if environment is None else environment
        try:
            process = subprocess.Popen(
                [*enclosure.prefix, sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(task), *command],
                env={**inherited, VARIABLE: run, **enclosure.environment},
                **theirs.as_options(pass_fds),
                **options,
            )
        except OSError as error:
            raise _not_started(error, (*enclosure.prefix, sys.executable)[0]) from error
        theirs.close()
        try:
            lines = _Lines(report)
            _await_ready(lines, enclosure, complaint)
            group = enclosure.confirm(process.pid)
            os.write(go, f"{group}\n".encode())
            holder = _await_execution(lines, command)
        except Unavailable:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_WITHIN_SECONDS)
            if enclosure.prefix and process.returncode == -signal.SIGKILL:
                # The tool before the launcher has set the limit, and the kernel has killed the launcher.
                raise LimitError(
                    f"no process can even start within {format_bytes(request.bytes)}",
                    128 + signal.SIGKILL,
                    next="Choose a higher --memory.",
                ) from None
            _end(process)
            raise
        except BaseException:
            _end(process)
            raise
        if hold is not None:
            own.keep(hold)
        return Started(process, enclosure, request, holder=holder, hold=hold)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


class _Descriptors:
    """Open descriptors that are closed together."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def __enter__(self) -> _Descriptors:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def add(self, *descriptors: int) -> None:
        """Takes charge of them."""
        self._open.update(descriptors)

    def keep(self, descriptor: int) -> None:
        """Leaves one open."""
        self._open.discard(descriptor)

    def close(self) -> None:
        """Closes them."""
        while self._open:
            os.close(self._open.pop())

    def as_options(self, others: Sequence[int] | None) -> dict[str, Any]:
        """How a child gets them: with what is inheritable anyway, or with these others alone."""
        if others is not None:
            return {"pass_fds": (*others, *self._open)}
        for descriptor in self._open:
            os.set_inheritable(descriptor, True)
        return {"close_fds": False}


class _Lines:
    """What the launcher reports, a line at a time.

    Args:
        descriptor: Where it arrives.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self._until = time.monotonic() + _START_WITHIN_SECONDS

    def next(self) -> str | None:
        """The next line; None at the end.

        Raises:
            Unavailable: Nothing comes.
        """
        while b"\n" not in self._rest:
            left = self._until - time.monotonic()
            if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
                raise Unavailable("it did not start within half a minute")
            part = os.read(self._descriptor, 4096)
            if not part:
                return None
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")


def _await_ready(lines: _Lines, enclosure: Enclosure, complaint: int | None) -> None:
    """Waits until the launcher is where it should be.

    Raises:
        Unavailable: It did not get there.
    """
    line = lines.next()
    if line == "ready":
        return
    if line is not None:
        raise Unavailable(line)
    said = os.read(complaint, 4096).decode(errors="replace") if complaint is not None else ""
    first = (said.splitlines() or ["it ended without a word"])[0]
    raise Unavailable(f"{Path(enclosure.prefix[0]).name} says: {first}" if enclosure.prefix else first)


def _await_execution(lines: _Lines, command: Sequence[str]) -> int | None:
    """Waits until the command runs, and returns the PID of the holder, if there is one.

    Raises:
        LimitError: It cannot be executed.
    """
    holder = None
    while (line := lines.next()) is not None:
        what, _, number = line.partition(" ")
        if what == "holder":
            holder = int(number)
        elif what == "exec":
            raise _not_executed(command[0], int(number))
    return holder


def _not_started(error: OSError, tool: str) -> LimitError:
    """Why not even what leads to the command can be started."""
    if error.errno == errno.E2BIG:
        return LimitError(
            "the command line and the environment are too long to be passed on", EXIT_NOT_EXECUTABLE
        )
    if error.errno in (errno.EAGAIN, errno.ENOMEM):
        return LimitError(f"no process can be started: {error.strerror}")
    return LimitError(f"{tool} cannot be executed by this user: {error.strerror}")


def _not_executed(name: str, number: int) -> LimitError:
    """Why a command cannot be executed, with the status that `env` would end with."""
    if number in (errno.ENOENT, errno.ENOTDIR) and not os.path.lexists(name):
        where = "" if "/" in name else " on the PATH"
        return LimitError(f"'{name}': there is no such command{where}", EXIT_NOT_FOUND)
    if number == errno.ENOENT:
        return LimitError(
            f"'{name}': its interpreter does not exist", EXIT_NOT_FOUND, next="Look at its first line."
        )
    return LimitError(f"'{name}' cannot be executed: {os.strerror(number)}", EXIT_NOT_EXECUTABLE)
