"""The smallest limit under which a command finishes, and what each limit costs in time.

Pure: the runs are made by a function that is passed in, so that the search is tested on scripted commands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
        """Whether the command finished."""
        return self.outcome == "completed"


@dataclass(frozen=True)
class Fit:
    """What the search has found.

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
        """Whether to make no more runs."""
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
        """Whether it fails a little below where it passes."""
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
        """Whether more than one run has passed under it."""
        return sum(t.passed for t in self.tried if t.bytes == limit) > 1

    def has_near(self, limit: int) -> bool:
        """Whether a limit that is hardly another one has been tried."""
        return any(0.9 * limit < (t.bytes or 0) < 1.1 * limit for t in self.tried)


def describe(fit: Fit, format_bytes: Callable[[float | None], str]) -> str:
    """The answer in a sentence: what the command needs, and below which limit it pays in time.

    Args:
        fit: What was found.
        format_bytes: Puts a size into words.
    """
    if fit.smallest is None:
        passed = min((t.bytes for t in fit.tried if t.passed and t.bytes), default=None)
        if passed is not None:
            return f"finished under {format_bytes(passed)}; whether it needs as much was not found out"
        if not fit.tried:
            return "what limit it needs was not found out"
        return "no limit was found under which the command finishes"
    need = f"needs {format_bytes(fit.smallest)}"
    if fit.knee is None or fit.slowdown is None:
        return f"{need}, and is not slower there than without a limit"
    why = ", re-reading pages" if _rereads(fit) else ""
    return f"{need}; below {format_bytes(fit.knee)} it runs up to {fit.slowdown:.1f} times slower{why}"


def _rereads(fit: Fit) -> bool:
    faults = [t.major_faults or 0 for t in fit.tried if t.bytes == fit.smallest and t.passed]
    return bool(faults) and max(faults) > 2 * (fit.free.major_faults or 0) + 100


def _rounded(limit: float) -> int:
    """A whole number of megabytes, as it is written into a manifest; below ten of them, of pages."""
    grain = _GRAIN if limit >= 10 * _GRAIN else 64 << 10
    return max(grain, round(limit / grain) * grain)


__all__: Sequence[str] = ("Fit", "Trial", "describe", "find_smallest")
