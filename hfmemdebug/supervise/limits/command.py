"""Runs one command under a limit in the place of this process: streams, terminal and signals are its own."""

from __future__ import annotations

import contextlib
import os
import signal
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hfmemdebug.supervise.limits.enclosure import Enclosure, Request, Usage
from hfmemdebug.supervise.limits.start import LimitError, Started, start
from hfmemdebug.supervise.limits.sweep import sweep
from hfmemdebug.supervise.limits.tree import adopt_orphans

# What somebody sends to us is meant for the command.
_FORWARDED = frozenset(
    (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
)
_ASKS_FOR_THE_END = frozenset((signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
# What the command leaves running may end by itself for so long.
_FAREWELL_SECONDS = 1.0


@dataclass(frozen=True)
class Ended:
    """How a command under a limit has ended.

    Attributes:
        backend: Name of the mechanism.
        how: The same in words.
        is_limit: Whether the kernel has enforced it.
        bytes: The limit.
        swap: Swap beyond it.
        usage: What was used.
        status: Exit status as a shell gives it: 128 + signal where a signal killed it.
        signal: The signal, or None.
        killed_by: ``"kernel"`` (its OOM killer), ``"watchdog"``, ``"deadline"`` or None: somebody else, or nobody.
        seconds: Wall time.
        left_running: Processes that the command had left and that were ended with it.
        passed_over: Mechanisms that were tried before, with why they do not work.
        told_to_end: Whether somebody has asked for its end (Ctrl-C, SIGTERM), whatever the command made of it.
    """

    backend: str
    how: str
    is_limit: bool
    bytes: int
    swap: int
    usage: Usage
    status: int
    signal: int | None
    killed_by: str | None
    seconds: float
    left_running: int
    passed_over: Mapping[str, str]
    told_to_end: bool = False

    @property
    def outcome(self) -> str:
        """``"completed"``, ``"failed"``, ``"killed"`` or ``"interrupted"``, as an arm's."""
        if self.status == 0:
            return "completed"
        if self.signal in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            return "interrupted"
        return "killed" if self.signal is not None else "failed"


def run_limited(
    command: Sequence[str],
    request: Request,
    *,
    backend: str = "auto",
    deadline: float | None = None,
    give_up: Callable[[Enclosure], bool] | None = None,
    drop_pages: bool = False,
    extra: Mapping[str, str] | None = None,
    streams: Mapping[str, Any] | None = None,
) -> Ended:
    """Runs a command to its end.

    Args:
        command: The command and its arguments.
        request: The limit.
        backend: A mechanism's name, or ``auto``.
        deadline: Seconds after which it is killed, or None.
        give_up: Called at every look; where it says so, the command is killed.
        drop_pages: Drop the file pages that it has brought in, when it has ended.
        extra: Environment variables that it gets beside this process's.
        streams: What takes the place of its standard streams, as `subprocess.Popen` names them.

    Raises:
        UsageError: There is no such mechanism.
        LimitError: None works, or the command cannot be executed.
    """
    if not hasattr(signal, "sigtimedwait"):
        raise LimitError("memory limits need Linux")
    sweep()
    adopt_orphans()
    with _terminal_as_it_was(), _signals_held_back() as signals:
        environment = {**os.environ, **(extra or {})}
        began = time.monotonic()
        started = start(
            command, request, backend=backend, environment=environment, mask=signals.mask, **(streams or {})
        )
        try:
            until = None if deadline is None else began + deadline
            status, overdue = _await_end(started, signals, until, give_up or (lambda enclosure: False))
            seconds = time.monotonic() - began
            usage = started.enclosure.usage()
            left = _say_farewell(started)
            if drop_pages:
                started.enclosure.drop_pages()
        finally:
            started.close()
            _reap_all()
    return describe_end(
        started, status, usage, overdue=overdue, seconds=seconds, left=left, told_to_end=signals.told_to_end
    )


@dataclass
class _Signals:
    """What is held back.

    Attributes:
        mask: What was blocked before.
        told_to_end: Whether one that asks for the end has come, and not from the command itself.
    """

    mask: list[int]
    told_to_end: bool = False

    def note(self, number: int) -> None:
        """Takes note of one that has come."""
        self.told_to_end = self.told_to_end or number in _ASKS_FOR_THE_END


def _await_end(
    started: Started, signals: _Signals, until: float | None, give_up: Callable[[Enclosure], bool]
) -> tuple[int, bool]:
    """Passes signals on and takes samples until the command ends.

    Returns:
        Its status as `waitpid` gives it, and whether it was killed since its time was up.
    """
    enclosure, pid = started.enclosure, started.process.pid
    awaited = {signal.SIGCHLD, *_FORWARDED}
    next_look = time.monotonic()
    overdue = False
    while True:
        now = time.monotonic()
        if now >= next_look:
            enclosure.look()
            if give_up(enclosure):
                _kill_all(started)
            # Looking takes long where there are many processes: half of the time at most.
            took = time.monotonic() - now
            next_look = now + max(enclosure.tick, 2 * took)
        if until is not None and now >= until and not overdue:
            overdue = True
            _kill_all(started)
        status = _reap(pid)
        if status is not None:
            # For Popen, which would wait for it once more.
            started.process.returncode = os.waitstatus_to_exitcode(status)
            return status, overdue
        arrived = signal.sigtimedwait(awaited, max(0.0, next_look - time.monotonic()))
        if arrived is None or arrived.si_signo == signal.SIGCHLD:
            continue
        # What the terminal sends has reached the command's group already, and so has what the command
        # sends to its own group.
        if arrived.si_code > 0:
            signals.note(arrived.si_signo)
        elif arrived.si_pid not in enclosure.pids():
            signals.note(arrived.si_signo)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, arrived.si_signo)


def _reap(pid: int) -> int | None:
    """Takes leave of ended children: orphans that became ours, and the command, whose status it returns."""
    with contextlib.suppress(ChildProcessError):
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == pid:
                return status
            if ended == 0:
                break
    return None


def _reap_all() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _kill_all(started: Started) -> None:
    for pid in {started.process.pid, *started.enclosure.pids()} - {started.holder, os.getpid()}:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _say_farewell(started: Started) -> int:
    """Asks what the command has left running to end, and returns how many processes that are."""
    mine = {started.holder, os.getpid()}
    _reap_all()
    left = started.enclosure.pids() - mine
    for pid in left:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _FAREWELL_SECONDS
    while left and time.monotonic() < until and started.enclosure.pids() - mine:
        time.sleep(0.01)
        _reap_all()
    return len(left)


def describe_end(
    started: Started,
    status: int,
    usage: Usage,
    *,
    overdue: bool,
    seconds: float,
    left: int,
    told_to_end: bool = False,
) -> Ended:
    """How a command has ended.

    Args:
        started: The command.
        status: Its status as `waitpid` gives it.
        usage: What it used.
        overdue: Whether it was killed since its time was up.
        seconds: Wall time.
        left: Processes that it had left running.
        told_to_end: Whether somebody has asked for its end.
    """
    code = os.waitstatus_to_exitcode(status)
    number = -code if code < 0 else None
    killed_by = None
    if started.enclosure.killed:
        killed_by = "watchdog"
    elif overdue:
        killed_by = "deadline"
    elif number == signal.SIGKILL and usage.oom_kills:
        killed_by = "kernel"
    return Ended(
        backend=started.enclosure.backend,
        how=started.enclosure.how,
        is_limit=started.enclosure.is_limit,
        bytes=started.request.bytes,
        swap=started.request.swap,
        usage=usage,
        status=128 + number if number is not None else code,
        signal=number,
        killed_by=killed_by,
        seconds=seconds,
        left_running=left,
        passed_over=started.passed_over,
        told_to_end=told_to_end,
    )


@contextmanager
def _signals_held_back() -> Iterator[_Signals]:
    """Blocks what is awaited, so that none is lost."""
    # Ignored children are reaped by the kernel, and their status is lost.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, *_FORWARDED})
    signals = _Signals(sorted(map(int, before)))
    try:
        yield signals
    finally:
        # What came too late to be passed on is noted and has no other meaning any more.
        while (late := signal.sigtimedwait(_FORWARDED, 0)) is not None:
            signals.note(late.si_signo)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _terminal_as_it_was() -> Iterator[None]:
    """Gives the terminal back where a killed command has left it in a state of its own."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        in_front = os.tcgetpgrp(terminal) == os.getpgrp()
        modes = termios.tcgetattr(terminal) if in_front else None
        try:
            yield
        finally:
            if modes is not None:
                before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
                with contextlib.suppress(OSError, termios.error):
                    os.tcsetpgrp(terminal, os.getpgrp())
                    termios.tcsetattr(terminal, termios.TCSADRAIN, modes)
                signal.signal(signal.SIGTTOU, before)
    finally:
        os.close(terminal)
