"""The runs of `fit`: each in its own enclosure, with cold data files, given up as soon as it cannot pass."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence

from hfmemdebug.supervise.limits.command import Ended, run_limited
from hfmemdebug.supervise.limits.enclosure import Enclosure, Request
from hfmemdebug.supervise.limits.fit import Fit, Trial, find_smallest
from hfmemdebug.supervise.limits.pages import DataFiles

# A run under a limit may take so many times as long as the one without, and this much at least.
SLOWEST = 10.0
SLOWEST_SECONDS = 10.0
_NOTE_SECONDS = 0.1


class CommandFailed(Exception):
    """The command does not finish even without a limit.

    Attributes:
        ended: How it ended.
    """

    def __init__(self, ended: Ended) -> None:
        super().__init__()
        self.ended = ended


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
        self.last: Ended | None = None
        self.interrupted = False

    def find(self) -> Fit:
        """All runs: one to see what it reads, one without a limit, and the search.

        Raises:
            CommandFailed: The command fails without a limit.
            LimitError: No mechanism works here, or the command cannot be executed.
        """
        free = self._free()
        assert self.last is not None
        if not self.last.is_limit:
            # A watchdog sees what the command held, and cannot tell what it needs: there is nothing to search.
            return Fit(None, (), free)
        self._backend = self.last.backend
        if self._files.found and not self.interrupted:
            free = self._free(quiet=True)
        self._bound = max(SLOWEST * free.seconds, free.seconds + SLOWEST_SECONDS)
        return find_smallest(free, self._limited, stop=lambda: self.interrupted)

    def _free(self, *, quiet: bool = False) -> Trial:
        if quiet:
            self._begin(None)
        ended = self._run(self._free_bytes, quiet=quiet)
        trial = _trial(None, ended)
        if self.interrupted or not trial.passed:
            raise CommandFailed(ended)
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

    def _run(self, limit: int, *, quiet: bool) -> Ended:
        self._files.drop()
        # Its answer, and what it complains of, is wanted once.
        output = subprocess.DEVNULL if quiet else 2
        self.last = run_limited(
            self._command,
            Request(limit, self._swap),
            backend=self._backend,
            deadline=self._bound,
            give_up=self._look,
            drop_pages=True,
            extra={"MEMLIMIT": str(limit)},
            streams={"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output},
        )
        # Many programs answer a Ctrl-C with an exit status of their own.
        self.interrupted = self.last.told_to_end or self.last.outcome == "interrupted"
        return self.last

    def _look(self, enclosure: Enclosure) -> bool:
        """Notes what is read, and says whether the run cannot pass any more."""
        if self._bound is None and time.monotonic() > self._noted + _NOTE_SECONDS:
            self._noted = time.monotonic()
            self._files.note(enclosure.pids() - {os.getpid()})
        # A worker that was killed may leave the others waiting for it for ever.
        return bool(enclosure.usage().oom_kills)


def _trial(limit: int | None, ended: Ended) -> Trial:
    usage = ended.usage
    if usage.oom_kills or ended.killed_by in ("kernel", "watchdog"):
        outcome = "killed"
    elif ended.killed_by == "deadline":
        outcome = "too slow"
    else:
        outcome = "completed" if ended.status == 0 else "failed"
    return Trial(
        bytes=limit,
        outcome=outcome,
        seconds=round(ended.seconds, 3),
        major_faults=usage.major_faults,
        stalled_seconds=usage.stalled_seconds,
        peak=usage.peak,
        unreclaimable_peak=usage.unreclaimable_peak,
    )
