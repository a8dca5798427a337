"""Watches a live process from outside: one reading, or a recording over time. Nothing is injected or harmed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from hfmemdebug.errors import AccessError, InputError, UsageError
from hfmemdebug.probes.process_table import UNREADABLE, inside_containers, is_living, thread_group
from hfmemdebug.probes.status import read_status
from hfmemdebug.recording.decimating import DecimatingWriter
from hfmemdebug.recording.end import End, Reclaim
from hfmemdebug.recording.file import Recording, RecordingWriter, load_recording
from hfmemdebug.recording.header import Header
from hfmemdebug.recording.sample import TreeSample
from hfmemdebug.result import ArmSummary, Result, without_verdict
from hfmemdebug.supervise.tree import TreeReading
from hfmemdebug.supervise.watch import TreeWatch
from hfmemdebug.units import format_bytes

# Reading every process's PSS and files may take at most this share of one core's time: 10 GB are read in 0.2 s, so
# every ten seconds. Of a small tree a person wants no more than one each two seconds.
DEEP_SHARE = 0.02
LEAST_BETWEEN_DEEP = 2.0


@dataclass(frozen=True)
class Target:
    """A process to watch.

    Attributes:
        pid: Its number.
        name: What it is called.
        process: The same to psutil, which tells it from another one that was given its number.
    """

    pid: int
    name: str
    process: psutil.Process


def find_target(pid: int) -> Target:
    """Finds a process that can be watched.

    Raises:
        InputError: There is no such process, it has ended, or it is a thread or the kernel's.
        AccessError: It may not be seen, or this system has no /proc.
        UsageError: It is this process.
    """
    if not Path("/proc/self/stat").exists():
        raise AccessError("attach reads Linux's /proc, which this system does not have")
    if pid == os.getpid():
        raise UsageError(f"{pid} is hfmemdebug itself", next="Give the PID of another process.")
    try:
        process = psutil.Process(pid)
        name, parent = process.name(), process.ppid()
    except UNREADABLE:
        raise _missing(pid) from None
    group = thread_group(pid)
    if group not in (None, pid):
        raise InputError(
            f"{pid} is a thread of process {group}, and threads share their process's memory",
            next=f"hfmemdebug attach {group}",
        )
    if not is_living(pid):
        raise InputError(
            f"process {pid} ({name}) has ended, and its parent {parent} has not waited for it yet: "
            "it has no memory any more",
            next=f"Look at its parent instead: hfmemdebug attach {parent}.",
        )
    with contextlib.suppress(OSError):
        if read_status(pid).rss is None:
            raise InputError(f"{pid} ({name}) is a thread of the kernel, which has no memory of its own")
    return Target(pid, name, process)


def _missing(pid: int) -> InputError | AccessError:
    inside = inside_containers(pid)
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


@dataclass
class Attachment:
    """Watches one process.

    Args:
        target: The process.
        recording: Where the recording is written.
        header: What its header says.
        interval: Seconds between samples, at first and at most.
        clock: Seconds, monotonic.
        sleep: Waits.
    """

    target: Target
    recording: Path
    header: Header
    interval: tuple[float, float] = (0.1, 0.5)
    clock: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep
    tree: TreeReading | None = None
    samples: list[TreeSample] = field(default_factory=list)
    why_ended: str | None = None
    _deep_due: float = 0.0

    def watch(
        self,
        show: Callable[[Attachment], bool],
        *,
        duration: float | None = None,
    ) -> Recording:
        """Watches until the time is over, the process has ended, or `show` has had enough.

        Args:
            show: Is called after each sample; returns whether to go on.
            duration: Seconds, or None for no end.
        """
        began = self.clock()
        tree = TreeWatch(self.target.pid, clock=self.clock, without=os.getpid())
        detail = None
        with RecordingWriter(self.recording) as writer:
            writer.header(self.header)
            kept, seen = DecimatingWriter(writer), False
            try:
                while True:
                    sample = tree.take_sample()
                    if (
                        sample is None
                        or not tree.alive
                        or not (self.target.process.is_running() and is_living(self.target.pid))
                    ):
                        self.why_ended = f"process {self.target.pid} ended while it was watched"
                        detail = self.why_ended
                        break
                    if self.tree is None:
                        # To be shown alone: shared pages are counted in each, which would seem to shrink by the next.
                        self.samples[:] = [sample]
                    elif kept.keep(sample):
                        if not seen:
                            self.samples.clear()
                        seen = True
                        self.samples.append(sample)
                    # Looking into ten GB takes as long as all that came before: the first figures go ahead.
                    goes_on = self.tree is not None or show(self)
                    self._read_deeper(tree)
                    over = duration is not None and self.clock() - began >= duration
                    if not (goes_on and show(self)) or over:
                        break
                    self.sleep(self._pause(self.clock() - began))
            except KeyboardInterrupt:
                # The usual way to end a live view: what was measured is the answer.
                detail = "ended by the user"
            tree.close()
            if not seen and self.samples:
                kept.keep(self.samples[-1])
            end = End(
                "completed", detail, observer_share=round(tree.cost / max(self.clock() - began, 1e-3), 4)
            )
            if self.tree is not None:
                notes = (*self.tree.notes, *([self.why_ended] if self.why_ended else []))
                end = replace(end, notes=notes, **self.tree.usage)
            writer.end(end)
        return load_recording(self.recording)

    def _pause(self, watched: float) -> float:
        """Returns the seconds to wait: few at first, so that an answer comes soon; then as often as a person looks."""
        least, most = self.interval
        return min(most, max(least, watched / 50))

    def _read_deeper(self, watch: TreeWatch) -> None:
        now = self.clock()
        if now < self._deep_due:
            return
        tree = watch.read_all()
        if tree.processes and tree.processes[0].pid == self.target.pid:
            self.tree = tree
        self._deep_due = now + max(LEAST_BETWEEN_DEEP, (self.clock() - now) / DEEP_SHARE)


def snapshot_result(
    tree: TreeReading,
    *,
    command_line: str | None = None,
    environment: dict[str, str] | None = None,
    reclaimed: Reclaim | None = None,
) -> Result:
    """Makes the result of `attach --once`: no verdict, since one reading shows no growth.

    Args:
        tree: What was read.
        command_line: As it was typed.
        environment: Of this machine.
        reclaimed: What `reclaim_tree` reported, or None.
    """
    arm = ArmSummary("program", "program", False, iterations=0, rows=0, outcome="completed")
    return without_verdict(
        "attach",
        snapshot_summary(tree),
        arms=(replace(arm, reclaim=asdict(reclaimed)),) if reclaimed is not None else (),
        advice=_advice(tree),
        environment=environment or {},
        warnings=tree.notes,
        command_line=command_line,
        **{
            **tree.usage,
            "processes": tuple(asdict(process.usage) for process in tree.processes),
            "shared_memory": tuple(asdict(item) for item in tree.shared),
        },
    )


def snapshot_summary(tree: TreeReading) -> str:
    """Makes one sentence: how much, how much of it can be taken back, and what holds it."""
    first = tree.processes[0]
    children = len(tree.processes) - 1
    subject = f"Process {tree.root}"
    if children:
        subject += f" and its {children} child process{'es' if children > 1 else ''}"
    verb = "have" if children else "has"
    files = [file for file in tree.files if not file.memory_backed]
    data = sum(file.pss_bytes or 0 for file in files)
    of_files = ""
    if data >= 1 << 20:
        count = f"{len(files)} data files" if len(files) > 1 else "a data file"
        of_files = f" ({format_bytes(data)} of it are mapped pages of {count})"
    kind = "in memory" if first.memory is not None else "in memory, shared pages counted in each"
    return (
        f"{subject} {verb} {format_bytes(tree.pss)} {kind}: {format_bytes(tree.reclaimable)} can be taken back by the "
        f"kernel when memory is short{of_files}, {format_bytes(tree.unreclaimable)} cannot."
    )


def _advice(tree: TreeReading) -> tuple[str, ...]:
    """Makes the advice that the reading alone suggests."""
    lines = []
    if any(file.memory_backed and file.resident_bytes >= 1 << 20 for file in tree.files):
        lines.append(
            "Data files on tmpfs are memory: move them to a disk, where their pages can be taken back."
        )
    lines.append("To see whether it grows, watch it: leave out --once, or give --duration SECONDS.")
    return tuple(lines)
