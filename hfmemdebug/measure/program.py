"""Runs somebody's unmodified program and watches it from outside, whatever becomes of it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hfmemdebug.errors import InputError
from hfmemdebug.probes.inside import FOLDER_VARIABLE, InsideReader, environment
from hfmemdebug.probes.process_table import environment_of
from hfmemdebug.recording.decimating import DecimatingWriter
from hfmemdebug.recording.end import MISSING_END, End, LimitOutcome, ObserverSeconds, ProcessTrace
from hfmemdebug.recording.file import RecordingWriter, append
from hfmemdebug.recording.header import Header
from hfmemdebug.recording.sample import TreeSample
from hfmemdebug.supervise.shared_memory import Segments, Writers
from hfmemdebug.supervise.watch import TreeWatch, read_tree
from hfmemdebug.units import format_bytes

if TYPE_CHECKING:
    from hfmemdebug.supervise.limits.enclosure import Request
    from hfmemdebug.supervise.limits.start import Started

INTERVAL = 0.1
# Looks from one at who has written into /dev/shm to the next.
SHM_EVERY = 20
# By so much they must have more before it is told anew who has what: whose descriptors are memory takes a while.
PEAK_STEP = 1.05
_HELPERS = ("resource tracker", "fork server", "shared memory manager")
_PR_SET_CHILD_SUBREAPER = 36
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@dataclass
class Supervisor:
    """One program, from its start to its end.

    Args:
        command: What is run.
        recording: Where the recording is written.
        header: What the header says.
        stdout: Descriptor for the program's standard output, or None for ours.
        limit: The memory limit that it runs under, or None.
        trace: Whether samplers trace allocations too, for the lines and holders of a leak.
        scratch: Where samplers' pages lie while the program runs, on this machine; None: beside the recording.
        describe: Called once the program runs: the lines of the header's environment.

    Attributes:
        ending: The recording's closing line, also where it could not be written.
        unwritten: Why the recording could not be written from some time on, or None.
    """

    command: Sequence[str]
    recording: Path
    header: Header
    stdout: int | None = None
    limit: Request | None = None
    trace: bool = False
    describe: Callable[[], dict[str, str]] = dict
    scratch: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    exit_status: int | None = None
    interrupted: bool = False
    ending: End = MISSING_END
    unwritten: str | None = None
    _peak: dict[str, Any] = field(default_factory=dict)
    _files_read: int = 0
    _limited: Started | None = None
    _wait_status: int = 0

    def run(self) -> None:
        """Runs the program to its end and leaves a recording.

        Raises:
            InputError: It cannot be started.
        """
        pages = (self.scratch or self.recording.parent) / "pages"
        pages.mkdir(mode=0o700, exist_ok=True)
        inside = InsideReader(pages)
        with contextlib.suppress(OSError, AttributeError):
            # What a program's processes leave behind comes to us instead of to init, and stays in the tree.
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        # Opened before the program runs, which nothing of ours may end.
        with RecordingWriter(self.recording) as writer, self._signals() as pass_on_to:
            writers = Writers(time.time())
            process = self._start(pages)
            pass_on_to(process.pid)
            try:
                self._supervise(process, writer, inside, writers, pages)
            except Exception:
                # Our own failure: who has started us waits for the program all the same.
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, 0)
                raise
        # What lives on after the program may be about to make one more.
        shutil.rmtree(pages, ignore_errors=True)

    def _supervise(
        self,
        process: subprocess.Popen[bytes],
        writer: RecordingWriter,
        inside: InsideReader,
        writers: Writers,
        pages: Path,
    ) -> None:
        began = time.perf_counter()
        segments = Segments(pages)
        watch = TreeWatch(
            process.pid,
            inside=inside.read,
            forget=inside.forget,
            # Under a limit we may have children of our own, which enforce it.
            adopts=(lambda pid: _is_of(pid, pages)) if self.limit is None else None,
            segments=lambda pids: (segments.size(pids), segments.reserved),
        )
        looks = DecimatingWriter(writer)
        look = watch.look()
        self._keep(writer.header, replace(self.header, environment=self.describe()))
        if look is not None:
            self._keep(looks.keep, look)
        for number, _ in enumerate(self._ticks(process.pid)):
            if number % SHM_EVERY == 0 and look is not None:
                writers.look(look)
            # None of a program that ended before anybody looked at it.
            if (looked := watch.look()) is not None:
                look = looked
                self._keep(looks.keep, look)
                self._keep_peak(watch, look)
            if self._limited is not None:
                self._limited.enclosure.look()
        # For Popen, which would wait for it once more.
        process.returncode = self.exit_status
        seconds = time.perf_counter() - began
        limited = self._end_limit(seconds)
        watch.close()
        self.ending = End(
            **{**self._outcome(), **limited},
            **self._peak,
            cut=self.unwritten,
            exit_status=self.exit_status,
            seconds=round(seconds, 3),
            versions=inside.versions(process.pid),
            caches=inside.caches(process.pid),
            variables=inside.variables(process.pid),
            values=inside.values(process.pid),
            returned_values=inside.returned_values(process.pid),
            garbage_blocks=inside.garbage_blocks.get(process.pid, 0),
            samplers=inside.seen,
            traces=_traces(pages, began) if self.trace else None,
            shm_of_ours=segments.most,
            shm_lines=segments.by_line(),
            shm_new_files_bytes=writers.new_files_bytes,
            written_bytes=writers.written,
            written_by_others_bytes=writers.written_by_others(),
            notes=tuple(_notes(pages)),
            observer_seconds=ObserverSeconds(round(watch.cost, 4), round(inside.cost_seconds, 4)),
            observer_share=round((watch.cost + inside.cost_seconds) / max(seconds, 1e-3), 5),
        )
        if self.unwritten is None:
            self._keep(writer.end, self.ending)
        else:
            # There may be room again.
            with contextlib.suppress(OSError):
                append(self.recording, self.ending)

    def _keep(self, write: Callable[[Any], object], what: Any) -> None:
        """Writes to the recording. Once that has failed nothing more is written, and the program goes on."""
        if self.unwritten is None:
            try:
                write(what)
            except OSError as error:
                self.unwritten = error.strerror or str(error)

    def _start(self, pages: Path) -> subprocess.Popen[bytes]:
        environ = environment(pages, self.environ, trace="all" if self.trace else None)
        if self.limit is not None:
            from hfmemdebug.supervise.limits.start import start

            self._limited = start(self.command, self.limit, environment=environ, stdout=self.stdout)
            return self._limited.process
        try:
            return subprocess.Popen(self.command, env=environ, stdout=self.stdout)
        except FileNotFoundError:
            raise InputError(
                f"there is no command {self.command[0]}", next="Give its path, or one that is on the PATH."
            ) from None
        except PermissionError:
            raise InputError(
                f"{self.command[0]} may not be executed",
                next="A Python script is run without the --: hfmemdebug run train.py.",
            ) from None
        except OSError as error:
            raise InputError(f"{self.command[0]} could not be started: {error.strerror}") from error

    def _ticks(self, pid: int) -> Iterator[None]:
        """One each interval until the program has ended; other processes that come to us are waited for."""
        due = time.perf_counter()
        ended = _Ended(pid)
        try:
            while not self._reap(pid):
                due += INTERVAL
                wait = due - time.perf_counter()
                if wait < -INTERVAL:
                    # We were stopped, or the machine was: what was missed is not made up for.
                    due = time.perf_counter()
                ended.wait(max(0.0, wait))
                yield
        finally:
            ended.close()

    def _reap(self, pid: int) -> bool:
        """Waits for what has ended, and returns whether the program is among it."""
        with contextlib.suppress(ChildProcessError):
            while True:
                found, status = os.waitpid(-1, os.WNOHANG)
                if found == pid:
                    self._wait_status = status
                    self.exit_status = os.waitstatus_to_exitcode(status)
                    return True
                if found == 0:
                    return False
        return True

    def _outcome(self) -> dict[str, Any]:
        status = self.exit_status
        if self.interrupted and status not in (0, None):
            return {"outcome": "interrupted", "detail": "it was interrupted (Ctrl-C)"}
        if status == 0:
            return {"outcome": "completed"}
        if status is None:
            return {"outcome": "failed", "detail": "nobody can say how the program ended"}
        number = -status if status < 0 else status - 128 if status > 128 else 0
        if number == 0:
            return {"outcome": "failed", "detail": f"the program failed with exit status {status}"}
        try:
            name = signal.Signals(number).name
        except ValueError:
            if status > 0:
                return {"outcome": "failed", "detail": f"the program failed with exit status {status}"}
            # Between SIGRTMIN and SIGRTMAX they have no names.
            name = f"signal {number}"
        why = " (as the kernel does when memory is out)" if name == "SIGKILL" else ""
        return {"outcome": "killed", "detail": f"the program was killed by {name}{why}"}

    def _end_limit(self, seconds: float) -> dict[str, Any]:
        """What the limit came to, and whether the program died of it."""
        started = self._limited
        if started is None:
            return {}
        from hfmemdebug.supervise.limits.command import describe_end
        from hfmemdebug.supervise.limits.outcome import limit_fields

        usage = started.enclosure.usage()
        started.close()
        ended = describe_end(started, self._wait_status, usage, overdue=False, seconds=seconds, left=0)
        found: dict[str, Any] = {"limit": LimitOutcome(**limit_fields(ended))}
        if ended.killed_by in ("kernel", "watchdog"):
            found["outcome"] = "killed"
            found["detail"] = f"the program was killed at its limit of {format_bytes(ended.bytes)}"
        return found

    def _keep_peak(self, watch: TreeWatch, look: TreeSample) -> None:
        """Keeps who had what when they were the most, and had the most: at the end nobody has anything."""
        pss, known = look.pss or 0, len(self._peak.get("processes") or ())
        highest = self._peak.get("total_pss_bytes") or 1
        higher = pss >= highest and (watch.files_read > self._files_read or pss >= PEAK_STEP * highest)
        if len(look.processes) > known or (higher and len(look.processes) == known):
            self._files_read = watch.files_read
            self._peak = watch.snapshot().to_dict()

    @contextmanager
    def _signals(self) -> Iterator[Callable[[int], None]]:
        """Ctrl-C reaches the program by itself, and we wait for what it makes of it; others are passed on.

        From before the program is there: what comes until it is known is passed on then.
        """
        programs: list[int] = []
        early: list[int] = []

        def pass_on_to(pid: int) -> None:
            programs.append(pid)
            for number in early:
                forward(number, None)

        def interrupted(number: int, frame: FrameType | None) -> None:
            self.interrupted = True

        def forward(number: int, frame: FrameType | None) -> None:
            if not programs:
                early.append(number)
                return
            with contextlib.suppress(OSError):
                os.kill(programs[0], number)

        before = {number: signal.signal(number, forward) for number in _FORWARDED}
        before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupted)
        try:
            yield pass_on_to
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _is_of(pid: int, pages: Path) -> bool:
    """Whether a process was started under this run: we may have had other children before, and get others' orphans."""
    return environment_of(pid).get(FOLDER_VARIABLE) == str(pages)


def _traces(pages: Path, began: float) -> tuple[ProcessTrace, ...]:
    # What reads them takes longer to import than all that watches: that is not for the program to wait for.
    from hfmemdebug.origin.trace import read_traces

    return tuple(read_traces(pages, began))


def _notes(pages: Path) -> list[str]:
    """What the program has left running, which came to us when it ended."""
    ours = read_tree(os.getpid(), deep=False).processes
    living = [p for p in ours if p.pid != os.getpid() and p.role not in _HELPERS and _is_of(p.pid, pages)]
    if not living:
        return []
    named = ", ".join(f"{p.pid} ({p.role})" for p in living[:8])
    more = f" and {len(living) - 8} more" if len(living) > 8 else ""
    return [
        f"{len(living)} of its processes live{'s' if len(living) == 1 else ''} on after the program: {named}{more}"
    ]


class _Ended:
    """Waits for a process without asking again and again, where the kernel can tell (Linux 5.3)."""

    def __init__(self, pid: int) -> None:
        self._fd = -1
        with contextlib.suppress(OSError, AttributeError):
            self._fd = os.pidfd_open(pid)
        self._poll = select.poll()
        if self._fd >= 0:
            self._poll.register(self._fd, select.POLLIN)

    def wait(self, seconds: float) -> None:
        self._poll.poll(seconds * 1000)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def python_command(program: Sequence[str]) -> list[str]:
    """The command for what follows the options of `run`.

    Args:
        program: ``SCRIPT.py ARGS…``, ``-m MODULE ARGS…`` or ``-- COMMAND ARGS…``.

    Raises:
        InputError: The script does not exist, or nothing was named.
    """
    first, rest = program[0], list(program[1:])
    if first == "--":
        if not rest:
            raise InputError("there is no command behind --", next="For example: run -- python train.py.")
        return rest
    if first == "-m":
        if not rest:
            raise InputError("-m wants a module", next="For example: run -m package.train --epochs 3.")
        return [sys.executable, "-m", *rest]
    path = Path(first)
    if not first or not path.exists():
        raise InputError(
            f"there is no script {first or repr(first)}",
            next="For a command that is no Python script: run -- COMMAND.",
        )
    if path.is_dir() and not (path / "__main__.py").exists():
        raise InputError(f"{first} is a folder without a __main__.py")
    return [sys.executable, first, *rest]
