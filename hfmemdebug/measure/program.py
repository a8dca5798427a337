"""Runs an unmodified program and watches it from outside, whatever becomes of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfmemdebug.errors import InputError
from hfmemdebug.probes.inside import FOLDER_VARIABLE, InsideReader, environment
from hfmemdebug.probes.process_table import environment_of
from hfmemdebug.recording.decimating import DecimatingWriter
from hfmemdebug.recording.end import MISSING_END, End, ObserverSeconds, ProcessTrace
from hfmemdebug.recording.file import RecordingWriter, append
from hfmemdebug.recording.header import Header
from hfmemdebug.recording.sample import TreeSample
from hfmemdebug.supervise.child import Exit, SignalRelay, adopt_orphans, start_child
from hfmemdebug.supervise.shared_memory import Segments, Writers
from hfmemdebug.supervise.watch import TreeWatch, read_tree
from hfmemdebug.units import format_bytes

if TYPE_CHECKING:
    from hfmemdebug.measure.limited import LimitedProcess
    from hfmemdebug.supervise.limits.limiter import Request

INTERVAL = 0.1
# Looks from one at who has written into /dev/shm to the next.
SHM_EVERY = 20
# By so much they must have more before it is told anew who has what: whose descriptors are memory takes a while.
PEAK_STEP = 1.05
_HELPERS = ("resource tracker", "fork server", "shared memory manager")


@dataclass
class Supervisor:
    """Supervises one program, from its start to its end.

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
        exit: How the program ended.
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
    exit: Exit = field(default_factory=lambda: Exit(None))
    ending: End = MISSING_END
    unwritten: str | None = None
    _peak: dict[str, Any] = field(default_factory=dict)
    _files_read: int = 0
    _limited: LimitedProcess | None = None

    def run(self) -> None:
        """Runs the program to its end and leaves a recording.

        Raises:
            InputError: It cannot be started.
        """
        pages = (self.scratch or self.recording.parent) / "pages"
        pages.mkdir(mode=0o700, exist_ok=True)
        inside = InsideReader(pages)
        # What a program's processes leave behind comes to us instead of to init, and stays in the tree.
        adopt_orphans()
        # Opened before the program runs, which nothing of ours may end.
        with RecordingWriter(self.recording) as writer, SignalRelay() as relay:
            writers = Writers(time.time())
            process = self._start(pages, relay)
            try:
                self._supervise(process, relay, writer, inside, writers, pages)
            except Exception:
                # Our own failure: the program is waited for all the same.
                while process.returncode is None:
                    relay.wait(process, INTERVAL)
                raise
        # What lives on after the program may be about to make one more.
        shutil.rmtree(pages, ignore_errors=True)

    def _supervise(
        self,
        process: subprocess.Popen[bytes],
        relay: SignalRelay,
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
        samples = DecimatingWriter(writer)
        sample = watch.take_sample()
        self._keep(writer.header, replace(self.header, environment=self.describe()))
        if sample is not None:
            self._keep(samples.keep, sample)
        for number, _ in enumerate(self._ticks(process, relay)):
            if number % SHM_EVERY == 0 and sample is not None:
                writers.update(sample)
            # None of a program that ended before it was read.
            if (taken := watch.take_sample()) is not None:
                sample = taken
                self._keep(samples.keep, sample)
                self._keep_peak(watch, sample)
        seconds = time.perf_counter() - began
        limited = self._end_limit()
        watch.close()
        self.ending = End(
            **{**self._outcome(), **limited},
            **self._peak,
            cut=self.unwritten,
            exit_status=self.exit.code,
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
        self._write_end(writer)

    def _write_end(self, writer: RecordingWriter) -> None:
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

    def _start(self, pages: Path, relay: SignalRelay) -> subprocess.Popen[bytes]:
        environ = environment(pages, self.environ, trace="all" if self.trace else None)
        if self.limit is None:
            return start_child(self.command, relay=relay, env=environ, stdout=self.stdout)
        from hfmemdebug.measure.limited import LimitedProcess

        self._limited = LimitedProcess(
            self.command, self.limit, environment=environ, relay=relay, stdout=self.stdout
        )
        return self._limited.process

    def _ticks(self, process: subprocess.Popen[bytes], relay: SignalRelay) -> Iterator[None]:
        """Yields each interval until the program has ended, and once after that, for its children's last words."""
        due = time.perf_counter()
        ended = None
        while ended is None:
            due += INTERVAL
            wait = due - time.perf_counter()
            if wait < -INTERVAL:
                # We were stopped, or the machine was: what was missed is not made up for.
                due = time.perf_counter()
            ended = relay.wait(process, max(0.0, wait))
            if ended is not None:
                self.exit = ended
            yield

    def _outcome(self) -> dict[str, Any]:
        outcome = self.exit.outcome
        if outcome == "completed":
            return {"outcome": outcome}
        if outcome == "interrupted":
            return {"outcome": outcome, "detail": "it was interrupted (Ctrl-C)"}
        was = "was " if outcome == "killed" else ""
        return {"outcome": outcome, "detail": f"the program {was}{self.exit.describe(failed='failed')}"}

    def _end_limit(self) -> dict[str, Any]:
        """Tells what the limit came to, and whether the program died of it."""
        run = self._limited.close(self.exit) if self._limited is not None else None
        if run is None:
            return {}
        found: dict[str, Any] = {"limit": run.outcome()}
        if run.exit.killed_by is not None and self.limit is not None:
            found["outcome"] = "killed"
            found["detail"] = f"the program was killed at its limit of {format_bytes(self.limit.bytes)}"
        return found

    def _keep_peak(self, watch: TreeWatch, sample: TreeSample) -> None:
        """Keeps who had what when they were the most, and had the most: at the end nobody has anything."""
        pss, known = sample.pss or 0, len(self._peak.get("processes") or ())
        highest = self._peak.get("total_pss_bytes") or 1
        higher = pss >= highest and (watch.files_read > self._files_read or pss >= PEAK_STEP * highest)
        if len(sample.processes) > known or (higher and len(sample.processes) == known):
            self._files_read = watch.files_read
            self._peak = watch.snapshot().usage


def _is_of(pid: int, pages: Path) -> bool:
    """Says if a process was started under this run: we may have had other children before, and get others' orphans."""
    return environment_of(pid).get(FOLDER_VARIABLE) == str(pages)


def _traces(pages: Path, began: float) -> tuple[ProcessTrace, ...]:
    # What reads them takes longer to import than all that watches: that is not for the program to wait for.
    from hfmemdebug.origin.trace import read_traces

    return tuple(read_traces(pages, began))


def _notes(pages: Path) -> list[str]:
    """Names what the program has left running, which came to us when it ended."""
    ours = read_tree(os.getpid(), deep=False).processes
    living = [p for p in ours if p.pid != os.getpid() and p.role not in _HELPERS and _is_of(p.pid, pages)]
    if not living:
        return []
    named = ", ".join(f"{p.pid} ({p.role})" for p in living[:8])
    more = f" and {len(living) - 8} more" if len(living) > 8 else ""
    return [
        f"{len(living)} of its processes live{'s' if len(living) == 1 else ''} on after the program: {named}{more}"
    ]


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
