"""Starts a command under the first mechanism that works, and lets it run only once the limit was seen to hold.

Each mechanism is tried by doing it: what a machine promises and what it does differ (on cgroup v1 a user's scope is
made and its limit ignored). The command's process is the exec shim's, which waits in the group until the limit was
read back.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hfmemdebug.errors import UsageError
from hfmemdebug.supervise import exec_shim
from hfmemdebug.supervise.child import (
    CommandError,
    Exit,
    SignalRelay,
    cannot_execute,
    ignored_signals,
    start_child,
)
from hfmemdebug.supervise.limits.cgroups import CGROUP1, CGROUP2, open_cgroup1, open_cgroup2
from hfmemdebug.supervise.limits.limiter import LimitError, MemoryLimiter, Opener, Request, Unavailable
from hfmemdebug.supervise.limits.run_id import VARIABLE, new_name
from hfmemdebug.supervise.limits.systemd import SYSTEMD, open_systemd
from hfmemdebug.supervise.limits.watchdog import WATCHDOG, open_watchdog
from hfmemdebug.units import format_bytes

AUTO = "auto"
# The best one first.
OPENERS: dict[str, Opener] = {
    SYSTEMD: open_systemd,
    CGROUP2: open_cgroup2,
    CGROUP1: open_cgroup1,
    WATCHDOG: open_watchdog,
}
# Enough for `true`; the figure itself is read back as it is set.
_TRIAL = Request(64 << 20)
_START_WITHIN_SECONDS = 30.0
_END_WITHIN_SECONDS = 2.0


@dataclass
class Started:
    """A command that runs inside a limit.

    Attributes:
        process: The command; its PID is the command's own.
        limiter: What it runs in.
        holder: PID of the process that keeps the group alive, or None.
        hold: The descriptor on which that process waits, or None.
        passed_over: Mechanisms that were tried before, with why they do not work.
    """

    process: subprocess.Popen[bytes]
    limiter: MemoryLimiter
    holder: int | None = None
    hold: int | None = None
    passed_over: dict[str, str] = field(default_factory=dict)

    def others(self) -> set[int]:
        """Lists the processes that the command has started, as far as they live."""
        return self.limiter.pids() - {self.process.pid, self.holder, os.getpid()}

    def exit_of(self, ended: Exit) -> Exit:
        """Adds to how the command ended what was seen to kill it for its memory."""
        killer = ended.killed_by
        if self.limiter.killed:
            killer = "watchdog"
        elif killer is None and ended.signal == signal.SIGKILL and self.limiter.usage().oom_kills:
            killer = "kernel"
        return Exit(ended.code, killer, ended.interrupted)

    def close(self) -> None:
        """Kills what is left inside and removes the limit."""
        self.limiter.close()
        if self.hold is not None:
            os.close(self.hold)
            self.hold = None


def what_works() -> dict[str, str | None]:
    """Tries every mechanism on this machine, in order: None where it works, else why it does not."""
    found: dict[str, str | None] = {}
    for name in OPENERS:
        try:
            started = start(
                [shutil.which("true") or "/bin/true"], _TRIAL, backend=name, stdin=subprocess.DEVNULL
            )
        except LimitError as error:
            found[name] = error.message.partition(": ")[2]
            continue
        started.process.wait()
        started.close()
        found[name] = None
    return found


def start(
    command: Sequence[str],
    request: Request,
    *,
    backend: str = AUTO,
    environment: Mapping[str, str] | None = None,
    relay: SignalRelay | None = None,
    pass_fds: Sequence[int] | None = None,
    **popen: Any,
) -> Started:
    """Starts a command under the first mechanism that works.

    Args:
        command: The command and its arguments.
        request: The limit.
        backend: A mechanism's name, or ``auto``.
        environment: The command's environment, by default this process's.
        relay: What passes signals on to it, or None: it keeps those of this process.
        pass_fds: Descriptors that it gets; by default all that are inheritable.
        popen: Further arguments of `subprocess.Popen`: its standard streams, its session.

    Raises:
        UsageError: There is no such mechanism.
        LimitError: None works.
        CommandError: The command cannot be executed.
    """
    if backend != AUTO and backend not in OPENERS:
        raise UsageError(
            f"--backend {backend}: there is no such backend", next=f"Choose {AUTO}, {', '.join(OPENERS)}."
        )
    passed_over: dict[str, str] = {}
    for name in OPENERS if backend == AUTO else [backend]:
        try:
            run = new_name()
            limiter = OPENERS[name](request, run)
            environ = {**(os.environ if environment is None else environment), VARIABLE: run}
            try:
                started = _start_in(limiter, command, request, environ, relay, pass_fds, popen)
            except BaseException:
                limiter.close()
                raise
        except Unavailable as why:
            passed_over[name] = str(why)
            continue
        started.passed_over = passed_over
        return started
    if backend != AUTO:
        raise LimitError(
            f"--backend {backend} does not work here: {passed_over[backend]}",
            next="`hfmemdebug env` lists what works.",
        )
    reasons = "; ".join(f"{name}: {why}" for name, why in passed_over.items())
    raise LimitError(
        f"no memory limit can be set here ({reasons})",
        next="`hfmemdebug env` lists what works; --backend watchdog needs no privilege.",
    )


def _start_in(
    limiter: MemoryLimiter,
    command: Sequence[str],
    request: Request,
    environ: Mapping[str, str],
    relay: SignalRelay | None,
    pass_fds: Sequence[int] | None,
    popen: dict[str, Any],
) -> Started:
    """Makes one attempt.

    Raises:
        Unavailable: The limit did not come into force; the command was not run.
        LimitError: The exec shim cannot be started.
        CommandError: The command cannot be executed.
    """
    options = {**popen, "env": {**environ, **limiter.environment}}
    with _Pipes() as pipes:
        report, report_of_shim = pipes.from_shim()
        go, go_of_shim = pipes.to_shim()
        hold, hold_of_shim = pipes.to_shim() if limiter.needs_holder else (None, None)
        complaint = stderr = None
        if limiter.prefix:
            # What the tool before the shim complains of is ours to say; the shim puts this back.
            stderr = pipes.lend(popen.get("stderr"))
            complaint, options["stderr"] = pipes.from_shim()
        task = {
            "report": report_of_shim,
            "go": go_of_shim,
            "hold": hold_of_shim,
            "stderr": stderr,
            "parent": os.getpid(),
            "enter": limiter.enter,
            "unset": list(limiter.environment),
            "mask": relay.mask if relay is not None else [],
            "ignored": relay.ignored if relay is not None else ignored_signals(),
        }
        shim = [sys.executable, "-I", "-S", exec_shim.__file__, json.dumps(task)]
        try:
            process = start_child([*limiter.prefix, *shim, *command], **pipes.as_options(pass_fds), **options)
        except CommandError as error:
            raise LimitError(error.message, error.status) from error
        except OSError as error:
            raise LimitError(f"no process can be started: {error.strerror}") from error
        pipes.close_theirs()
        try:
            lines = _lines(report)
            _await_ready(lines, limiter, complaint)
            os.write(go, f"{limiter.confirm(process.pid)}\n".encode())
            holder = _await_execution(lines, command[0])
        except BaseException as error:
            _end(process, request, limiter, patient=isinstance(error, Unavailable))
            raise
        if hold is not None:
            pipes.keep(hold)
        return Started(process, limiter, holder=holder, hold=hold)


def _end(
    process: subprocess.Popen[bytes], request: Request, limiter: MemoryLimiter, *, patient: bool
) -> None:
    """Ends what did not become the command.

    Raises:
        LimitError: The kernel has killed it for its memory.
    """
    if patient:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_WITHIN_SECONDS)
        if limiter.prefix and process.returncode == -signal.SIGKILL:
            # The tool before the shim has set the limit.
            raise LimitError(
                f"no process can even start within {format_bytes(request.bytes)}",
                128 + signal.SIGKILL,
                next="Choose a higher --memory.",
            ) from None
    process.kill()
    process.wait()


class _Pipes:
    """Pipes between this process and the exec shim; what is not kept is closed with the context."""

    def __init__(self) -> None:
        self._ours: set[int] = set()
        self._theirs: set[int] = set()

    def __enter__(self) -> _Pipes:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close_theirs()
        for descriptor in self._ours:
            os.close(descriptor)

    def from_shim(self) -> tuple[int, int]:
        """Makes a pipe; returns our end, from which we read, and the shim's."""
        ours, theirs = os.pipe()
        self._ours.add(ours)
        self._theirs.add(theirs)
        return ours, theirs

    def to_shim(self) -> tuple[int, int]:
        """Makes a pipe; returns our end, to which we write, and the shim's."""
        theirs, ours = os.pipe()
        self._ours.add(ours)
        self._theirs.add(theirs)
        return ours, theirs

    def lend(self, stderr: int | None) -> int:
        """Returns a descriptor of what is to be the command's standard error.

        Args:
            stderr: As `subprocess.Popen` takes it.
        """
        if stderr == subprocess.DEVNULL:
            lent = os.open(os.devnull, os.O_WRONLY)
        else:
            lent = os.dup(2 if stderr is None else stderr)
        self._theirs.add(lent)
        return lent

    def keep(self, descriptor: int) -> None:
        """Leaves one of ours open."""
        self._ours.discard(descriptor)

    def close_theirs(self) -> None:
        """Closes the shim's ends in this process."""
        while self._theirs:
            os.close(self._theirs.pop())

    def as_options(self, others: Sequence[int] | None) -> dict[str, Any]:
        """Returns how a child gets its ends: with what is inheritable anyway, or with these others alone."""
        if others is not None:
            return {"pass_fds": (*others, *self._theirs)}
        for descriptor in self._theirs:
            os.set_inheritable(descriptor, True)
        return {"close_fds": False}


def _lines(descriptor: int) -> Iterator[str]:
    """Yields what the exec shim reports, a line at a time.

    Raises:
        Unavailable: Nothing comes.
    """
    rest, until = b"", time.monotonic() + _START_WITHIN_SECONDS
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise Unavailable("it did not start within half a minute")
        part = os.read(descriptor, 4096)
        if not part:
            return
        *lines, rest = (rest + part).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)


def _await_ready(lines: Iterator[str], limiter: MemoryLimiter, complaint: int | None) -> None:
    """Waits until the exec shim is where it should be.

    Raises:
        Unavailable: It did not get there.
    """
    line = next(lines, None)
    if line == "ready":
        return
    if line is not None:
        raise Unavailable(line)
    said = os.read(complaint, 4096).decode(errors="replace") if complaint is not None else ""
    first = (said.splitlines() or ["it ended without a word"])[0]
    raise Unavailable(f"{Path(limiter.prefix[0]).name} says: {first}" if limiter.prefix else first)


def _await_execution(lines: Iterator[str], command: str) -> int | None:
    """Waits until the command runs, and returns the PID of the holder, if there is one.

    Raises:
        CommandError: It cannot be executed.
    """
    holder = None
    for line in lines:
        what, _, number = line.partition(" ")
        if what == "holder":
            holder = int(number)
        elif what == "exec":
            raise cannot_execute(command, int(number))
    return holder
