"""Starts a command, passes signals on to it, waits for it, says how it ended: for arms, `run`, `limit` and `fit`.

A command under us is to be as it would be without us. That is harder than it looks; what decides:

*State that is inherited.* What the caller ignores stays ignored in the command (nohup, a job in the background), also
what we take for ourselves meanwhile, and its mask of blocked signals is ours as it was.

*Which signals are passed on.* We share the command's process group: with a group of its own it would be in the
background of the terminal. So what the kernel sends to the group (Ctrl-C, Ctrl-\\, a hang-up) has reached it already,
and so has ``kill -- -PGID``, a batch system's or a service manager's signal to the whole job; what was sent to us alone
has not. The kernel's own are known by their ``si_code``. A user's signal to a group and to one process look the same,
so that there is a `_Witness`: a process of ours in the group that says what has reached it too. (Tools that only look
at ``si_code`` pass a group's signal on a second time, and "the first SIGTERM saves, the second one forces" loses its
checkpoint.) What the command or its children send to us (``kill 0``, ``kill $PPID``) is not sent back to them.

*None is lost.* Signals are blocked and fetched (sigtimedwait(2)), from before the command is there until it has ended:
a handler could run between any two lines, and is not told who has sent the signal.

Open: SIGTSTP sent to us alone stops us and not the command; a witness is heard within `_WITNESS_SECONDS`, and a sender
that takes longer between two processes of the group is passed on twice.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import struct
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from hfmemdebug.errors import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, InputError, UsageError
from hfmemdebug.supervise.exec_shim import end_with, prctl, restore_signals

# What is meant for the command when it is sent to us.
PASSED_ON = frozenset(
    (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
)
_AWAITED = PASSED_ON | {signal.SIGCHLD}
_WITNESS_SECONDS, _STALE_SECONDS = 0.2, 10.0
PR_SET_CHILD_SUBREAPER = 36
_HEARD = struct.Struct("=id")

# glibc's posix_spawn leaves two of its own signals ignored in the child, which would be passed on.
# The switch is in the documentation of `subprocess`.
subprocess._USE_POSIX_SPAWN = False  # type: ignore[misc, unused-ignore]

Killer = Literal["kernel", "watchdog", "deadline"]
_KILLERS: dict[Killer, str] = {
    "kernel": "killed by the kernel's OOM killer",
    "watchdog": "killed by the watchdog",
    "deadline": "killed, since its time was up",
}


class CommandError(InputError):
    """The command cannot be executed.

    Args:
        message: One line that says why.
        status: 126 or 127, as `env` ends.
        next: One line that says what to do about it, or None.
    """

    def __init__(self, message: str, status: int, *, next: str | None = None) -> None:
        super().__init__(message, next=next)
        self.status = status


@dataclass(frozen=True)
class Exit:
    """How a process ended.

    Attributes:
        code: Its exit status, or minus the signal that killed it, as `subprocess` has it; None: it cannot be known.
        killed_by: What was seen to kill it for its memory or its time, or None.
        interrupted: It was asked to end (Ctrl-C).
    """

    code: int | None
    killed_by: Killer | None = None
    interrupted: bool = False

    @property
    def signal(self) -> int | None:
        """The signal that killed it, or that a shell, which has waited for its victim, reports as 128 + signal."""
        if self.code is None or self.code < 0:
            return None if self.code is None else -self.code
        return self.code - 128 if self.code > 128 and self.code - 128 in set(signal.Signals) else None

    @property
    def status(self) -> int | None:
        """The exit status as a shell gives it: 128 + signal where a signal killed it."""
        return self.code if self.code is None or self.code >= 0 else 128 - self.code

    @property
    def outcome(self) -> str:
        """``"completed"``, ``"failed"``, ``"killed"`` or ``"interrupted"``."""
        if self.code == 0 and self.killed_by is None:
            return "completed"
        if self.killed_by is not None:
            return "killed"
        if self.interrupted and self.code is not None:
            return "interrupted"
        return "killed" if self.signal is not None else "failed"

    def describe(self, when: str = "", *, failed: str = "ended") -> str:
        """Says how it ended, as far as it is known: ``killed by SIGTERM after 3 s``.

        Args:
            when: Is put behind it.
            failed: The verb before an exit status.
        """
        after = f" {when}" if when else ""
        if self.killed_by is not None:
            return f"{_KILLERS[self.killed_by]}{after}"
        if self.signal is None:
            status = "an unknown exit status" if self.code is None else f"exit status {self.code}"
            return f"{failed} with {status}{after}"
        shell = f" (exit status {self.code})" if self.code and self.code > 0 else ""
        guess = ", as the kernel does when memory is out" if self.signal == signal.SIGKILL else ""
        return f"killed by {signal_name(self.signal)}{shell}{after}{guess}"


def signal_name(number: int) -> str:
    """Names a signal: ``SIGTERM`` for 15, ``signal 40`` between SIGRTMIN and SIGRTMAX, which have no names."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def ignored_signals() -> list[int]:
    """Lists the signals that this process ignores, among those that are taken from it while it supervises."""
    return sorted(int(number) for number in _AWAITED if signal.getsignal(number) is signal.SIG_IGN)


def adopt_orphans() -> None:
    """Makes processes whose parents die children of this one from now on, instead of init's (prctl(2))."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def start_child(
    command: Sequence[str], *, relay: SignalRelay | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Starts a command.

    Args:
        command: The command and its arguments.
        relay: What passes signals on to it: it gets signals as they were before.
        options: Arguments of `subprocess.Popen`.

    Raises:
        CommandError: It cannot be executed.
        OSError: No process can be started.
    """
    if relay is not None:
        options["preexec_fn"] = relay.restore_in_child
    try:
        return subprocess.Popen(command, **options)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENOMEM):
            raise
        raise cannot_execute(command[0], error.errno or 0) from error
    except ValueError as error:
        raise cannot_execute(command[0], errno.ENOENT) from error


def cannot_execute(name: str, number: int) -> CommandError:
    """Says why a command cannot be executed.

    Args:
        name: The command.
        number: What execve(2) has failed with.
    """
    if number == errno.E2BIG:
        return CommandError(
            "the command line and the environment are too long to be passed on", EXIT_NOT_EXECUTABLE
        )
    if number in (errno.ENOENT, errno.ENOTDIR) and not os.path.lexists(name):
        where = "" if "/" in name else " on the PATH"
        return CommandError(
            f"there is no command {name or repr(name)}{where}",
            EXIT_NOT_FOUND,
            next="Give its path, or another one.",
        )
    if number == errno.ENOENT:
        return CommandError(
            f"{name} cannot be executed: its interpreter does not exist",
            EXIT_NOT_FOUND,
            next="Look at its first line.",
        )
    return CommandError(
        f"{name} cannot be executed: {os.strerror(number)}",
        EXIT_NOT_EXECUTABLE,
        next="A Python script wants its interpreter: hfmemdebug run train.py, or python train.py.",
    )


class SignalRelay:
    """Takes the signals that are meant for a command, as a context that is entered before the command is started.

    Attributes:
        mask: Signals that were blocked before.
        ignored: Signals that were ignored before.
        received: Those that have come for the command from outside, whichever way they have reached it; ignored ones
            ask for nothing.
    """

    def __init__(self) -> None:
        self.mask: list[int] = []
        self.ignored: list[int] = []
        self.received: set[int] = set()
        self._witness: _Witness | None = None

    def __enter__(self) -> SignalRelay:
        if not hasattr(signal, "sigtimedwait"):
            raise UsageError("supervising a program needs Linux")
        self.ignored = ignored_signals()
        # The kernel reaps ignored children, and their status is lost.
        self._of_children = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.mask = sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)))
        # Without one (no more processes for this user), a signal to the group is passed on a second time.
        with contextlib.suppress(OSError):
            self._witness = _Witness()
        return self

    def __exit__(self, *exception: object) -> None:
        # What comes too late to be passed on has no other meaning any more.
        while (late := signal.sigtimedwait(PASSED_ON, 0)) is not None:
            if late.si_signo not in self.ignored:
                self.received.add(late.si_signo)
        if self._witness is not None:
            self._witness.close()
        signal.signal(signal.SIGCHLD, self._of_children)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)

    def restore_in_child(self) -> None:
        """Gives a process that was forked signals as they were."""
        restore_signals(self.mask, self.ignored)

    def wait(self, process: subprocess.Popen[bytes], seconds: float) -> Exit | None:
        """Waits for the command's end and passes signals on meanwhile; other children that end are reaped.

        Args:
            process: The command.
            seconds: Time at most.

        Returns:
            How it ended, or None: it runs.
        """
        until = time.monotonic() + seconds
        while True:
            ended = self.reap(process.pid)
            if ended is not None:
                # For Popen, which would wait for it once more.
                process.returncode = 255 if ended.code is None else ended.code
                return replace(ended, interrupted=signal.SIGINT in self.received)
            arrived = signal.sigtimedwait(_AWAITED, max(0.0, until - time.monotonic()))
            if arrived is None:
                return None
            if arrived.si_signo != signal.SIGCHLD:
                self._pass_on(arrived, process.pid)

    def reap(self, pid: int | None = None) -> Exit | None:
        """Waits for all children that have ended.

        Args:
            pid: The child that is asked for.

        Returns:
            How that one ended, or None: it runs.
        """
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == pid:
                    return Exit(os.waitstatus_to_exitcode(found[1]))
                if self._witness is not None and found[0] == self._witness.pid:
                    self._witness.pid = None
        if pid is not None:
            try:
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                # It was waited for by others than us.
                return Exit(None)
        return None

    def _pass_on(self, arrived: signal.struct_siginfo, pid: int) -> None:
        number = arrived.si_signo
        # Asked of every signal, so that what it has heard of this one is not taken for the next one's.
        heard = self._witness is not None and self._witness.has_heard(number)
        # What the terminal sends (the kernel: above 0) has reached the whole group.
        of_terminal = arrived.si_code > 0
        if not of_terminal and _descends_from_us(arrived.si_pid):
            return
        if number not in self.ignored:
            self.received.add(number)
        if of_terminal or (heard and _was_reached_too(pid, sender=arrived.si_pid)):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


class _Witness:
    """A process in our group and control group that tells which signals have reached it: not us alone, then."""

    def __init__(self) -> None:
        self._reads, write_end = os.pipe()
        us = os.getpid()
        self.pid: int | None = os.fork()
        if self.pid == 0:
            self._listen(write_end, us)
        os.close(write_end)
        self._heard: dict[int, list[float]] = {}

    @staticmethod
    def _listen(write_end: int, parent: int) -> None:
        try:
            end_with(parent)
            # The descriptors of the supervisor are not for it to hold open.
            os.dup2(write_end, 3)
            os.closerange(4, 65536)
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(null, descriptor)
            while True:
                os.write(3, _HEARD.pack(signal.sigwait(PASSED_ON), time.monotonic()))
        finally:
            os._exit(0)

    def has_heard(self, number: int) -> bool:
        """Waits a little for it to say that a signal, which has just come to us, has reached it too."""
        until = time.monotonic() + _WITNESS_SECONDS
        while True:
            while moments := self._heard.get(number):
                # Signals may have come to us as one and to it as two, and we may be late ourselves.
                if until - moments.pop(0) < _STALE_SECONDS:
                    return True
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._reads], [], [], left)[0]:
                return False
            said = os.read(self._reads, _HEARD.size)
            if not said:
                return False
            heard, moment = _HEARD.unpack(said)
            self._heard.setdefault(heard, []).append(moment)

    def close(self) -> None:
        """Ends it."""
        os.close(self._reads)
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)


def _descends_from_us(pid: int) -> bool:
    """Says if the command, or something that it has started, has sent a signal."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return os.getpid() in (parent.pid for parent in psutil.Process(pid).parents())
    return False


def _was_reached_too(pid: int, *, sender: int) -> bool:
    """Says if what has reached us and the witness has reached the command as well.

    Service managers send to all of a control group, in which the command may not be (a scope of its own); all others
    to the process group, which it may have left (a shell).
    """
    import psutil

    from hfmemdebug.probes.cgroup import groups

    with contextlib.suppress(psutil.Error):
        if psutil.Process(sender).name() == "systemd":
            ours = next(groups(), None)
            return ours is None or ours in groups(pid=pid)
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid) == os.getpgrp()
    return True
