"""Runs one command under a limit in the place of this process: streams, terminal and signals are its own."""

from __future__ import annotations

import contextlib
import os
import signal
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hfmemdebug.recording.end import LimitOutcome, LimitUsage
from hfmemdebug.supervise.child import CommandError, Exit, SignalRelay, adopt_orphans
from hfmemdebug.supervise.limits.limiter import LimitError, MemoryLimiter, Request
from hfmemdebug.supervise.limits.run_id import sweep
from hfmemdebug.supervise.limits.start import AUTO, Started, start

_ASKS_FOR_THE_END = frozenset((signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
# What the command leaves running may end by itself for so long.
_LEFTOVER_SECONDS = 1.0


@dataclass(frozen=True)
class LimitedRun:
    """A run under a limit that has ended.

    Attributes:
        exit: How it ended.
        used: The limit, and what was used of it.
        seconds: Wall time.
        left_running: Processes that the command had left and that were ended with it.
        passed_over: Mechanisms that were tried before, with why they do not work.
        asked_to_end: A signal has asked for its end (Ctrl-C, SIGTERM), whatever the command made of it.
    """

    exit: Exit
    used: LimitUsage
    seconds: float
    left_running: int = 0
    passed_over: Mapping[str, str] = field(default_factory=dict)
    asked_to_end: bool = False

    def outcome(self) -> LimitOutcome:
        """Returns what came of the limit, as it stands in recordings and results."""
        return LimitOutcome(
            **asdict(self.used),
            outcome=self.exit.outcome,
            exit_status=self.exit.status,
            signal=self.exit.signal,
            killed_by=self.exit.killed_by,
            left_running=self.left_running,
            seconds=round(self.seconds, 3),
        )


def run_limited(
    command: Sequence[str],
    request: Request,
    *,
    backend: str = AUTO,
    deadline: float | None = None,
    give_up: Callable[[MemoryLimiter], bool] = lambda limiter: False,
    drop_pages: bool = False,
    extra: Mapping[str, str] | None = None,
    streams: Mapping[str, Any] | None = None,
) -> LimitedRun:
    """Runs a command to its end.

    Args:
        command: The command and its arguments.
        request: The limit.
        backend: A mechanism's name, or ``auto``.
        deadline: Seconds after which it is killed, or None.
        give_up: Called at every sample; where it says so, the command is killed.
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
    with _terminal_as_it_was(), SignalRelay() as relay:
        began = time.monotonic()
        environment = {**os.environ, **(extra or {})}
        try:
            started = start(
                command, request, backend=backend, environment=environment, relay=relay, **(streams or {})
            )
        except CommandError as error:
            raise LimitError(error.message, error.status, next=error.next) from error
        try:
            until = None if deadline is None else began + deadline
            ended = _await_end(started, relay, until, give_up)
            run = LimitedRun(
                started.exit_of(ended),
                started.limiter.usage(),
                time.monotonic() - began,
                passed_over=started.passed_over,
            )
            left = _terminate_leftovers(started, relay)
            if drop_pages:
                started.limiter.drop_pages()
        finally:
            started.close()
            relay.reap()
    # A signal that came while it ended is known by now.
    return replace(run, left_running=left, asked_to_end=not _ASKS_FOR_THE_END.isdisjoint(relay.received))


def _await_end(
    started: Started, relay: SignalRelay, until: float | None, give_up: Callable[[MemoryLimiter], bool]
) -> Exit:
    """Takes samples until the command ends."""
    limiter = started.limiter
    while True:
        now = time.monotonic()
        limiter.sample()
        overdue = until is not None and now >= until
        if overdue or give_up(limiter):
            _kill_all(started)
        # Sampling takes long where there are many processes: half of the time at most.
        pause = max(limiter.interval, 2 * (time.monotonic() - now))
        ended = relay.wait(started.process, pause)
        if ended is not None:
            # Many programs answer a Ctrl-C with an exit status of their own: what counts is what it died of.
            return replace(
                ended,
                killed_by="deadline" if overdue else None,
                interrupted=ended.signal in _ASKS_FOR_THE_END,
            )


def _kill_all(started: Started) -> None:
    for pid in {started.process.pid, *started.others()}:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _terminate_leftovers(started: Started, relay: SignalRelay) -> int:
    """Asks what the command has left running to end, and returns how many processes that are."""
    relay.reap()
    left = started.others()
    for pid in left:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _LEFTOVER_SECONDS
    while left and time.monotonic() < until and started.others():
        time.sleep(0.01)
        relay.reap()
    return len(left)


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
