"""Finds the smallest memory limit under which a command finishes, and what each limit costs in time.

`find_smallest` is pure: the runs are made by a function that is passed in, so that the search is tested on scripted
commands. `Runs` makes them: each under a limit of its own, given up as soon as it cannot pass, and with cold data
files: pages in the cache were charged to the process that read them first, so that a limit would not notice them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hfmemdebug.probes.maps import parse_maps
from hfmemdebug.probes.pages import drop_cached
from hfmemdebug.probes.process_table import open_files
from hfmemdebug.supervise.limits.command import LimitedRun, run_limited
from hfmemdebug.supervise.limits.limiter import MemoryLimiter, Request

# A limit is found where one of nine tenths of it fails; the search goes a little further than that.
_CLOSE_ENOUGH = 0.93
# Somewhat above what the command held is where it most likely passes, and just below where it fails.
_FIRST_ABOVE, _FIRST_ABOVE_BYTES = 1.04, 4 << 20
_STEPS_DOWN = (0.92, 0.8, 0.6, 0.4, 0.2, 0.1)
_STEPS_UP = (1.1, 1.3, 2.0, 4.0)
_MOST_RUNS = 16
# Where the curve is looked at besides, as multiples of the smallest limit.
_CURVE = (1.25, 1.6, 2.2, 3.0)
# Below this a slower run is noise.
_SLOWER = 1.25
_SLOWER_SECONDS = 0.3
_GRAIN = 1 << 20
# A run under a limit may take so many times as long as the one without, and this much at least.
_SLOWEST, _SLOWEST_SECONDS = 10.0, 10.0
_NOTE_SECONDS = 0.1
# Smaller files are hardly data, and cost nothing to read again.
_SMALLEST_FILE = 1 << 20


@dataclass(frozen=True)
class Trial:
    """One run.

    Attributes:
        bytes: The limit, or None for the run without one.
        outcome: ``"completed"``; ``"killed"`` (memory), ``"too slow"`` or ``"failed"``.
        seconds: Wall time.
        major_faults: Pages that had to be read from disk, or None.
        stalled_seconds: Time spent waiting for memory, or None.
        peak: Highest memory charged, in bytes, or None.
        unreclaimable_peak: Highest anonymous and shared memory seen, in bytes, or None.
    """

    bytes: int | None
    outcome: str
    seconds: float
    major_faults: int | None = None
    stalled_seconds: float | None = None
    peak: int | None = None
    unreclaimable_peak: int | None = None

    @property
    def passed(self) -> bool:
        """The command finished."""
        return self.outcome == "completed"


@dataclass(frozen=True)
class Fit:
    """The answer of the search.

    Attributes:
        smallest: The smallest limit in bytes under which the command finished, each time that it was tried;
            None where the search did not get as far.
        tried: All runs under a limit, in the order in which they were made.
        free: The run without a limit.
    """

    smallest: int | None
    tried: tuple[Trial, ...]
    free: Trial

    @property
    def slowdown(self) -> float | None:
        """How many times longer the command took below the knee, at the worst; None where there is no knee."""
        if self.knee is None or not self.free.seconds:
            return None
        below = [t.seconds for t in self.tried if t.passed and (t.bytes or 0) < self.knee]
        return max(below) / self.free.seconds if below else None

    @property
    def knee(self) -> int | None:
        """The limit in bytes below which the command becomes slower; None where it does not."""
        # Of two runs under one limit the slower one counts: the limit is then where it becomes slower.
        passed = sorted((t for t in self.tried if t.passed), key=lambda t: (-(t.bytes or 0), -t.seconds))
        knee = None
        for trial in passed:
            slower = trial.seconds > _SLOWER * self.free.seconds
            if slower and trial.seconds > self.free.seconds + _SLOWER_SECONDS:
                # Slower than without a limit from the largest one on: the knee is beyond them.
                return knee if knee is not None else self.free.peak
            knee = trial.bytes
        return None


def find_smallest(
    free: Trial, run: Callable[[int], Trial | None], *, stop: Callable[[], bool] = lambda: False
) -> Fit:
    """Searches by bisection between what the command held and what it fails under.

    Args:
        free: The run without a limit, which has passed.
        run: Runs the command under a limit of so many bytes; None where it was interrupted.
        stop: Asked before every run whether to end here.
    """
    search = _Search(run, stop)
    held = free.unreclaimable_peak or free.peak or _GRAIN
    guess = _rounded(held * _FIRST_ABOVE + _FIRST_ABOVE_BYTES)
    search.passes(guess)
    down, up = iter(_STEPS_DOWN), iter(_STEPS_UP)
    while not search.done:
        low, high = search.highest_failure, search.lowest_pass
        if high is None:
            # Luck, a short peak that was not seen, or memory that is none of its processes'.
            search.passes(_rounded((low or guess) * next(up, _STEPS_UP[-1])))
        elif low is None:
            # With swap beside the limit a command passes far below what it held.
            step = next(down, None)
            lower = _rounded(guess * step if step is not None else high / 2)
            if lower >= high:
                break
            search.passes(lower)
        elif not search.is_close:
            search.passes(_rounded((low + high) / 2))
        elif search.passed_twice(high):
            break
        else:
            # Near the edge it is a matter of luck: what is reported passes more than once.
            search.passes(high)
    passed = search.lowest_pass
    smallest = passed if search.is_close and passed is not None and search.passed_twice(passed) else None
    for factor in _CURVE:
        limit = _rounded((smallest or 0) * factor)
        if smallest is None or stop() or limit > 1.1 * (free.peak or 0) or search.has_near(limit):
            continue
        search.passes(limit)
    return Fit(smallest, tuple(search.tried), free)


class _Search:
    """The runs so far. A limit under which one of several runs has failed counts as failed."""

    def __init__(self, run: Callable[[int], Trial | None], stop: Callable[[], bool]) -> None:
        self._run = run
        self._stop = stop
        self.tried: list[Trial] = []

    @property
    def done(self) -> bool:
        """No more runs are to be made."""
        return len(self.tried) >= _MOST_RUNS or self._stop()

    def passes(self, limit: int) -> bool:
        """Makes a run."""
        trial = self._run(limit)
        if trial is None:
            return False
        self.tried.append(trial)
        return trial.passed

    @property
    def is_close(self) -> bool:
        """It fails a little below where it passes."""
        low, high = self.highest_failure, self.lowest_pass
        if low is None or high is None:
            return False
        return low >= _CLOSE_ENOUGH * high or _rounded((low + high) / 2) in (low, high)

    @property
    def highest_failure(self) -> int | None:
        """The highest limit under which a run has failed."""
        return max((t.bytes for t in self.tried if not t.passed and t.bytes is not None), default=None)

    @property
    def lowest_pass(self) -> int | None:
        """The lowest limit above all failures under which a run has passed."""
        low = self.highest_failure or 0
        return min((t.bytes for t in self.tried if t.passed and t.bytes and t.bytes > low), default=None)

    def passed_twice(self, limit: int) -> bool:
        """Says if more than one run has passed under it."""
        return sum(t.passed for t in self.tried if t.bytes == limit) > 1

    def has_near(self, limit: int) -> bool:
        """Says if a limit that is hardly another one has been tried."""
        return any(0.9 * limit < (t.bytes or 0) < 1.1 * limit for t in self.tried)


def _rounded(limit: float) -> int:
    """A whole number of megabytes, as it is written into a manifest; below ten of them, of pages."""
    grain = _GRAIN if limit >= 10 * _GRAIN else 64 << 10
    return max(grain, round(limit / grain) * grain)


class CommandFailed(Exception):
    """The command does not finish even without a limit.

    Attributes:
        run: How it ended.
    """

    def __init__(self, run: LimitedRun) -> None:
        super().__init__()
        self.run = run


class Runs:
    """Runs one command again and again.

    Args:
        command: The command and its arguments.
        backend: A mechanism's name, or ``auto``.
        free_bytes: What stands for no limit: as much as this machine or container has.
        swap: Swap in bytes that every run may use beyond its limit.
        begin: Is told the limit of every run that begins, None where it has none.
        listen: Is told of every run that has ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        backend: str,
        free_bytes: int,
        swap: int,
        begin: Callable[[int | None], None],
        listen: Callable[[Trial], None],
    ) -> None:
        self._command = command
        self._backend = backend
        self._free_bytes = free_bytes
        self._swap = swap
        self._begin = begin
        self._listen = listen
        self._files = DataFiles()
        self._noted = 0.0
        self._bound: float | None = None
        self.last: LimitedRun | None = None
        self.interrupted = False

    def find(self) -> Fit:
        """Makes all runs: one to see what it reads, one without a limit, and the search.

        Raises:
            CommandFailed: The command fails without a limit.
            LimitError: No mechanism works here, or the command cannot be executed.
        """
        free = self._free()
        assert self.last is not None
        if not self.last.used.is_limit:
            # A watchdog sees what the command held, and cannot tell what it needs: there is nothing to search.
            return Fit(None, (), free)
        self._backend = self.last.used.backend
        if self._files.found and not self.interrupted:
            free = self._free(quiet=True)
        self._bound = max(_SLOWEST * free.seconds, free.seconds + _SLOWEST_SECONDS)
        return find_smallest(free, self._limited, stop=lambda: self.interrupted)

    def _free(self, *, quiet: bool = False) -> Trial:
        if quiet:
            self._begin(None)
        run = self._run(self._free_bytes, quiet=quiet)
        trial = _trial(None, run)
        if self.interrupted or not trial.passed:
            raise CommandFailed(run)
        self._listen(trial)
        return trial

    def _limited(self, limit: int) -> Trial | None:
        self._begin(limit)
        try:
            trial = _trial(limit, self._run(limit, quiet=True))
        except KeyboardInterrupt:
            # Between two runs; what was measured until then is kept.
            self.interrupted = True
        if self.interrupted:
            return None
        self._listen(trial)
        return trial

    def _run(self, limit: int, *, quiet: bool) -> LimitedRun:
        self._files.drop()
        # Its answer, and what it complains of, is wanted once.
        output = subprocess.DEVNULL if quiet else 2
        self.last = run_limited(
            self._command,
            Request(limit, self._swap),
            backend=self._backend,
            deadline=self._bound,
            give_up=self._cannot_pass,
            drop_pages=True,
            extra={"MEMLIMIT": str(limit)},
            streams={"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output},
        )
        # Many programs answer a Ctrl-C with an exit status of their own.
        self.interrupted = self.last.asked_to_end or self.last.exit.outcome == "interrupted"
        return self.last

    def _cannot_pass(self, limiter: MemoryLimiter) -> bool:
        """Notes what is read, and says if the run cannot pass any more."""
        if self._bound is None and time.monotonic() > self._noted + _NOTE_SECONDS:
            self._noted = time.monotonic()
            self._files.note(limiter.pids() - {os.getpid()})
        # A worker that was killed may leave the others waiting for it for ever.
        return bool(limiter.usage().oom_kills)


def _trial(limit: int | None, run: LimitedRun) -> Trial:
    usage = run.used
    if usage.oom_kills or run.exit.killed_by in ("kernel", "watchdog"):
        outcome = "killed"
    elif run.exit.killed_by == "deadline":
        outcome = "too slow"
    else:
        outcome = "completed" if run.exit.code == 0 else "failed"
    return Trial(
        bytes=limit,
        outcome=outcome,
        seconds=round(run.seconds, 3),
        major_faults=usage.major_faults,
        stalled_seconds=usage.stalled_seconds,
        peak=usage.peak_bytes,
        unreclaimable_peak=usage.peak_unreclaimable_bytes,
    )


class DataFiles:
    """The data files that processes were seen to have mapped or open."""

    def __init__(self) -> None:
        self._paths: set[str] = set()

    def note(self, pids: Iterable[int]) -> None:
        """Notes what the processes have mapped, code excepted, and open."""
        for pid in pids:
            with contextlib.suppress(OSError):
                mappings = parse_maps(Path(f"/proc/{pid}/maps").read_bytes())
                self._paths.update(m.path for m in mappings if m.is_file and "x" not in m.perms)
            self._paths.update(path for _, path in open_files(pid))

    @property
    def found(self) -> list[str]:
        """Their paths; libraries are left out, since every program reads those."""
        return sorted(path for path in self._paths if _is_data(path))

    def drop(self) -> None:
        """Drops their clean pages from the cache; what another process has mapped stays."""
        for path in self.found:
            with contextlib.suppress(OSError):
                drop_cached(path)


def _is_data(path: str) -> bool:
    if ".so" in path.rpartition("/")[2] or not path.startswith("/") or path.startswith(("/dev/", "/proc/")):
        return False
    file = Path(path)
    try:
        return file.is_file() and file.stat().st_size >= _SMALLEST_FILE and not os.access(file, os.X_OK)
    except OSError:
        return False
