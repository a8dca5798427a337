"""Two runs side by side: before and after a fix, two versions of a library."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

from hfmemdebug.analysis.assess import Assessment
from hfmemdebug.analysis.counters import EXACT
from hfmemdebug.analysis.verdict import assess_all, judge
from hfmemdebug.errors import InputError
from hfmemdebug.recording.file import Recording
from hfmemdebug.result import ArmSummary, Comparison, Difference, Result

# A rate in bytes per iteration, and how uncertain it is.
Rate = tuple[float | None, float | None]
_IN_PAGES = frozenset({"other", "shmem", "copied", "children_anon", "dev_shm"})


def compare(before: Sequence[Recording], after: Sequence[Recording]) -> Comparison:
    """Compares two runs, arm by arm.

    Raises:
        InputError: They have no arm in common, or one of them has no samples.
    """
    results = judge(before), judge(after)
    arms = [{arm.name: arm for arm in result.arms} for result in results]
    assessed = [{a.name: a for a in assess_all([r for r in run if r.slices])} for run in (before, after)]
    common = [name for name in arms[0] if name in arms[1]]
    if not common:
        raise InputError(
            f"the two runs have no arm in common: {', '.join(arms[0])} and {', '.join(arms[1])}",
            next="Compare runs of the same command.",
        )
    return Comparison(
        results[0].summary,
        results[1].summary,
        results[1].iteration,
        {
            name: (
                _stays(assessed[0].get(name), assessed[1].get(name))
                if name in assessed[0] or name in assessed[1]
                else _stays_of_programs(*results),
                *_read_once(arms[0][name], arms[1][name]),
            )
            for name in common
        },
    )


def _stays(before: Assessment | None, after: Assessment | None) -> Difference:
    """Returns what exact counters have more per iteration; independent errors add up by their squares."""
    # Pages are counted too coarsely to stand beside exact counters, but where they are what leaks.
    leaking = {c.name for run in (before, after) if run is not None for c in run.growing} & _IN_PAGES
    if "shmem" in leaking:
        # The same files, once as pages of this process and once as what lies in /dev/shm.
        leaking -= {"dev_shm"}
    names = (*EXACT, *sorted(leaking))
    return _difference(_rate(before, names), _rate(after, names))


def _stays_of_programs(before: Result, after: Result) -> Difference:
    """The same of programs that were watched: what leaks, or that no leak above a size was seen."""
    if before.iteration != after.iteration:
        return _difference((None, None), (None, None))
    return _difference(_rate_of_program(before), _rate_of_program(after))


def _rate_of_program(result: Result) -> Rate:
    leaks = [f for f in result.findings if f.role == "leak" and f.rate_bytes_per_iteration is not None]
    if not leaks:
        return (
            (None, None)
            if result.verdict != "no-leak"
            else (0.0, result.smallest_detectable_bytes_per_iteration)
        )
    bounds = [(f.interval[1] - f.interval[0]) / 2 for f in leaks if f.interval is not None]
    rate = round(sum(f.rate_bytes_per_iteration or 0.0 for f in leaks), 1)
    return rate, hypot(*bounds) if len(bounds) == len(leaks) else None


def _difference(before: Rate, after: Rate) -> Difference:
    (a, error_a), (b, error_b) = before, after
    known = error_a is not None and error_b is not None
    return Difference(
        "stays_per_iteration", a, b, round(hypot(error_a or 0.0, error_b or 0.0), 1) if known else None
    )


def _rate(assessment: Assessment | None, names: Sequence[str]) -> Rate:
    counters = assessment.counters if assessment is not None else {}
    trends = [counters[name].trend for name in names if name in counters]
    if not trends:
        return None, None
    return round(sum(t.rate for t in trends), 1), hypot(*((t.high - t.low) / 2 for t in trends))


def _read_once(before: ArmSummary, after: ArmSummary) -> list[Difference]:
    grown = [
        Difference(f"{n}_growth", before.growth.get(n), after.growth.get(n)) for n in ("rss", "file", "anon")
    ]
    return [
        *grown,
        Difference("peak_rss", before.peak_rss_bytes, after.peak_rss_bytes),
        Difference("peak_unreclaimable", before.peak_unreclaimable_bytes, after.peak_unreclaimable_bytes),
    ]
