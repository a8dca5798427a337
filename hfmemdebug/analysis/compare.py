"""Two runs side by side: before and after a fix, two versions of a library."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

from hfmemdebug.analysis.assess import EXACT, Assessment
from hfmemdebug.analysis.verdict import assess_all, judge
from hfmemdebug.comparison import Comparison, Difference
from hfmemdebug.errors import InputError
from hfmemdebug.recording.file import Recording
from hfmemdebug.result import ArmSummary


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
                _stays(assessed[0].get(name), assessed[1].get(name)),
                *_read_once(arms[0][name], arms[1][name]),
            )
            for name in common
        },
    )


def _stays(before: Assessment | None, after: Assessment | None) -> Difference:
    """What exact counters have more per iteration; independent errors add up by their squares."""
    (a, error_a), (b, error_b) = _rate(before), _rate(after)
    known = error_a is not None and error_b is not None
    return Difference(
        "stays_per_iteration", a, b, round(hypot(error_a or 0.0, error_b or 0.0), 1) if known else None
    )


def _rate(assessment: Assessment | None) -> tuple[float | None, float | None]:
    components = assessment.components if assessment is not None else {}
    trends = [components[name].trend for name in EXACT if name in components]
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
