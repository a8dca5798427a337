"""An arm as its supervisor sees it: a child process in a session of its own, and what it has said."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hfmemdebug.decode import decode, encode
from hfmemdebug.errors import HfmemdebugError, error_from_dict
from hfmemdebug.measure.limited import LimitedProcess
from hfmemdebug.measure.protocol import LOST_STATUS, Channel
from hfmemdebug.probes.allocators import TUNABLES, without_thread_caches
from hfmemdebug.probes.cgroup import oom_kills
from hfmemdebug.recording.end import MISSING_END, End, LimitUsage
from hfmemdebug.recording.file import Recording, append
from hfmemdebug.recording.header import Header, LoadReport
from hfmemdebug.recording.sample import ArmSample
from hfmemdebug.supervise.child import Exit, start_child
from hfmemdebug.supervise.limits.limiter import Request

# Not `-m`: that would put the working directory before the installed packages, where a file of the
# user's named like a module of ours or of the standard library would be imported instead.
# It is tied to us before anything that takes long is imported.
_BOOT = (
    "import sys, runpy; sys.path[0:1] = []; sys.path.append({root!r}); "
    "from hfmemdebug.supervise.exec_shim import end_with; end_with({parent}); "
    "runpy.run_module('hfmemdebug.measure.arm_main', run_name='__main__', alter_sys=True)"
)
# An arm that was asked to stop finishes its slice; one that does not within this time is killed.
GRACE_SECONDS = 10.0


@dataclass
class ArmProcess:
    """One arm.

    Attributes:
        name: ``memory-mapped``, ``in-memory``, …
        mode: ``"mmap"``, ``"in-memory"`` or ``"streaming"``.
        consumer: Whether the user's consumer runs in it.
        path: Where it records itself.
        header: What its recording says of it, once it has begun.
        samples: Its samples so far, as it has sent them.
        report: What it has loaded, once it has.
        epochs_done: Epochs that it has read.
        end: How it ended, once it has.
        iterable_maps: Whether it reads an iterable that maps files, as it found.
        limit: The memory limit that it runs under, or None.
        used: What it has used of that, once it has ended.
        told_to_stop: Whether it was asked to end early, and killed if it did not.
    """

    name: str
    mode: str
    consumer: bool
    path: Path
    header: Header | None = field(default=None, repr=False)
    samples: list[ArmSample] = field(default_factory=list, repr=False)
    report: LoadReport | None = None
    epochs_done: int = 0
    end: End | None = None
    iterable_maps: bool = False
    told_to_stop: bool = False
    limit: LimitedProcess | None = field(default=None, repr=False)
    used: LimitUsage | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    channel: Channel | None = field(default=None, repr=False)

    @property
    def alive(self) -> bool:
        """It may still say something."""
        return self.end is None

    @property
    def recording(self) -> Recording | None:
        """Its recording so far, as the file holds it too; None where it has not begun."""
        if self.header is None:
            return None
        return Recording(self.header, tuple(self.samples), self.end or MISSING_END, self.path, self.used)

    def take(self, event: dict[str, Any]) -> None:
        """Keeps what an event says of the recording; the document of a sample becomes the sample."""
        if event["event"] == "header":
            self.header = decode(Header, event["header"])
        elif event["event"] == "sample":
            event["sample"] = decode(ArmSample, event["sample"])
            self.samples.append(event["sample"])

    @property
    def maps_files(self) -> bool:
        """It has files mapped whose pages can be taken back."""
        return self.mode == "mmap" or self.iterable_maps

    @property
    def has_ended(self) -> bool:
        """Its process is no more, whatever it has said before."""
        return self.process is not None and self.process.poll() is not None

    def wait_for_end(self, seconds: float) -> None:
        """Waits until its process is no more, for so long at most."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)

    def send(self, **command: Any) -> None:
        """Sends a command; to an arm that has gone, nothing is sent: its end is on its way to us."""
        if self.channel is not None:
            with contextlib.suppress(BrokenPipeError):
                self.channel.send(**command)


class ArmPool:
    """Arms that run side by side, and their events in the order in which they arrive.

    Args:
        listen: Called with each arm and event, for whoever shows progress.
        limit: Memory in bytes that each arm may use, or None.
        environment: The arms'; None for ours.
        thread_caches: Whether malloc keeps chunks at hand for each thread, and counts them as used.
    """

    def __init__(
        self,
        listen: Callable[[ArmProcess, dict[str, Any]], None],
        *,
        limit: int | None = None,
        environment: Mapping[str, str] | None = None,
        thread_caches: bool = True,
    ) -> None:
        self._limit = limit
        self._environment = environment
        self._thread_caches = thread_caches
        self.arms: list[ArmProcess] = []
        self._events: queue.SimpleQueue[tuple[ArmProcess, dict[str, Any]]] = queue.SimpleQueue()
        self._listen = listen
        self._oom_kills = oom_kills()
        self._kill_at: float | None = None

    def start(self, arm: ArmProcess, task: dict[str, Any]) -> None:
        """Starts an arm's process and sends it its task."""
        command_read, command_write = os.pipe()
        event_read, event_write = os.pipe()
        root = str(Path(__file__).resolve().parents[2])
        boot = _BOOT.format(root=root, parent=os.getpid())
        command = [sys.executable, "-c", boot, str(command_read), str(event_write)]
        given = os.environ if self._environment is None else self._environment
        environment = dict(given) if self._thread_caches else without_thread_caches(given)
        # What the user's code starts has the user's own settings.
        task = {**task, "tunables": given.get(TUNABLES)}
        options: dict[str, Any] = {
            "pass_fds": (command_read, event_write),
            "stdin": subprocess.DEVNULL,
            # Python 3.13.0 cannot import socket in a folder that was removed.
            "cwd": None if _has_a_working_directory() else "/",
            # What the user's code prints must not get between the lines of our answer.
            "stdout": 2,
            # Ctrl-C at the terminal reaches the supervisor alone, which then asks for a stop.
            "start_new_session": True,
        }
        if self._limit is None:
            arm.process = start_child(command, env=environment, **options)
        else:
            arm.limit = LimitedProcess(command, Request(self._limit), environment=environment, **options)
            arm.process = arm.limit.process
            task = {**task, "header": {**task["header"], "limit": encode(arm.limit.limit)}}
        os.close(command_read)
        os.close(event_write)
        arm.channel = Channel(event_read, command_write)
        arm.send(**task, recording=str(arm.path))
        self.arms.append(arm)
        threading.Thread(target=self._listen_to, args=(arm, arm.channel), daemon=True).start()

    def _listen_to(self, arm: ArmProcess, channel: Channel) -> None:
        for event in channel.lines():
            # Here and not where events are obeyed: that may be interrupted between two of them.
            arm.take(event)
            self._events.put((arm, event))
        self._events.put((arm, {"event": "gone"}))

    def events(self, *, tick: float = 0.5) -> Iterator[tuple[ArmProcess, dict[str, Any]]]:
        """The events of all arms until the last one has ended, with a ``tick`` event where all are silent.

        Raises:
            HfmemdebugError: An arm could not do what it was asked to: wrong input, no network, our fault.
        """
        silent: ArmProcess | None = None
        while any(arm.alive for arm in self.arms):
            try:
                arm, event = self._events.get(timeout=tick)
            except queue.Empty:
                self._kill_overdue()
                dead = next((arm for arm in self.arms if arm.alive and arm.has_ended), None)
                # On a busy machine its last words may still be on their way: it gets one more tick.
                if dead is None or dead is not silent:
                    silent = dead
                    yield self.arms[0], {"event": "tick"}
                    continue
                # What it has forked may hold its end of the pipe, so that no end of file comes.
                arm, event = dead, {"event": "gone"}
            name = event["event"]
            if name == "error":
                raise error_from_dict(event["error"])
            if name == "crashed":
                raise HfmemdebugError(f"the arm '{arm.name}' ended by an error of ours: {event['message']}")
            if name == "loaded":
                arm.report = decode(LoadReport, event["report"])
            elif name == "maps":
                arm.iterable_maps = True
            elif name == "epoch_done":
                arm.epochs_done += 1
            elif name == "closed":
                arm.end = decode(End, event["end"])
            elif name == "gone":
                if not arm.alive:
                    continue
                arm.end = self._how_it_died(arm)
            self._listen(arm, event)
            yield arm, event

    def stop(self) -> None:
        """Asks every arm to end after the slice that it is at."""
        self._kill_at = time.monotonic() + GRACE_SECONDS
        for arm in self.arms:
            arm.told_to_stop = True
            if not arm.alive or arm.process is None:
                continue
            if arm.report is None:
                # It is still loading, perhaps downloading: there is nothing measured to be kept.
                self._kill(arm)
            elif arm.process.poll() is None:
                arm.process.terminate()
                arm.send(do="end")

    def _kill_overdue(self) -> None:
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self.kill()

    def kill(self) -> None:
        """Ends every arm with all that it has started."""
        for arm in self.arms:
            self._kill(arm)

    def _kill(self, arm: ArmProcess) -> None:
        if arm.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(arm.process.pid, signal.SIGKILL)
            arm.process.wait()
        if arm.channel is not None:
            arm.channel.close()
            arm.channel = None
        if arm.limit is not None and arm.process is not None:
            run = arm.limit.close(Exit(arm.process.returncode))
            if run is not None and arm.header is not None:
                arm.used = run.used
                append(arm.path, run.used)

    def _exit_of(self, arm: ArmProcess) -> Exit:
        """Waits for an arm's process, and adds to how it ended what was seen to kill it."""
        assert arm.process is not None
        ended = Exit(arm.process.wait())
        if arm.limit is not None:
            return arm.limit.exit_of(ended)
        killed = ended.signal == signal.SIGKILL and (oom_kills() or 0) > (self._oom_kills or 0)
        return Exit(ended.code, "kernel" if killed else None)

    def _how_it_died(self, arm: ArmProcess) -> End:
        """Returns the end of an arm that ended without a word, which its recording gets as closing line."""
        ended = self._exit_of(arm)
        # One that ended well has said so.
        outcome = "failed" if ended.code == 0 else ended.outcome
        last = next((sample for sample in reversed(arm.samples) if sample.kind == "slice"), None)
        end = End(outcome, describe_death(ended, last))
        if arm.told_to_stop and ended.code in (-signal.SIGKILL, -signal.SIGTERM):
            end = End("interrupted", "it was stopped in the middle of a slice")
        if arm.header is not None:
            append(arm.path, end)
        return end


def _has_a_working_directory() -> bool:
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


def describe_death(ended: Exit, last: ArmSample | None) -> str:
    """Says what ended an arm, at which slice, and how much memory it had, as far as can be known.

    Args:
        ended: How its process ended.
        last: The sample of its last slice, or None.
    """
    where = "before the first slice"
    if last is not None:
        held = last.unreclaimable if last.unreclaimable is not None else last.rss
        where = f"after slice {last.slice} of epoch {last.epoch}, holding {(held or 0) / 2**20:,.0f} MB"
        if last.unreclaimable is not None:
            where += " that could not be taken back"
    if ended.code == LOST_STATUS:
        return f"it has closed all open files, ours as well (os.closerange, or as a daemon does), {where}"
    return ended.describe(where)
