"""True where a leak that was found holds: what a longer run of the same work, in fresh processes, says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hfmemdebug.analysis import words
from hfmemdebug.analysis.assess import ALONE_IN_DEV_SHM, Assessment
from hfmemdebug.analysis.counters import EXACT, PAGE, THINGS, CounterTrend
from hfmemdebug.analysis.findings import leak_findings
from hfmemdebug.analysis.trend import LIBRARY_OVERHEAD
from hfmemdebug.leak import Bound, Holder
from hfmemdebug.recording.end import Trace

# Counters that the tracing pass follows to see who makes files that are memory.
_OF_FILES = ("dev_shm", "fds")


def leaking_arm(assessments: Sequence[Assessment]) -> Assessment | None:
    """The arm that leaks: where the library leaks too, whoever keeps more, and the first of two that are alike."""
    growing = [a for a in assessments if a.growing]
    user = next((a for a in growing if a.control is not None), None)
    library = next((a for a in growing if a.control is None), None)
    if user is None or library is None:
        return user or library
    return user if _bytes_kept(user) >= _bytes_kept(library) else library


def longest_comparable(guilty: Assessment, assessments: Sequence[Assessment]) -> Assessment:
    """Of the arms that leak as this one does, the one that ran longest: its rate is the surest.

    A shorter one may seem to know its rate more narrowly, where a table did not double in it.
    """
    alike = [a for a in assessments if a.growing and (a.control is None) == (guilty.control is None)]
    return max(alike, key=lambda a: (len(a.recording.slices), a is guilty))


def _bytes_kept(assessment: Assessment) -> float:
    return sum(finding.rate_bytes_per_iteration or 0.0 for finding in leak_findings(assessment))


def traced(guilty: Assessment | None) -> Trace:
    """Returns what the tracing pass has found in an arm; nothing where there was none."""
    return (guilty.recording.end.trace if guilty is not None else None) or Trace()


def pending_doubt(guilty: Assessment | None, assessments: Sequence[Assessment]) -> str | None:
    """Why what grew may have a bound after all: in a longer run it stopped, or it is a cache with a size."""
    if guilty is None:
        return None
    holder = next(iter(traced(guilty).holders), None)
    if holder is not None and _holds_most(holder, guilty):
        if holder.bound is not None and not _is_beyond_memory(holder, holder.bound, guilty):
            return (
                f"what grew is a cache with a bound that the run did not reach, {holder.path}; more slices would fill "
                "it (--iterations, --epochs)"
            )
        if holder.unreached is not None:
            return (
                f"what grew has a line that takes from it, under a condition that the run did not meet, {holder.path}; "
                "more slices would tell (--iterations, --epochs)"
            )
    contradicted = [(c, other) for c in guilty.growing for other in _against(c, guilty, assessments)]
    if not all(_against(c, guilty, assessments) for c in guilty.growing):
        return None
    counter, other = contradicted[0]
    return (
        f"{counter.kind.words} grew over the {len(guilty.recording.slices)} slices of the arm "
        f"'{guilty.name}' and not steadily over the {len(other.recording.slices)} of '{other.name}'; "
        f"{words.MORE_EPOCHS}"
    )


def _holds_most(holder: Holder, guilty: Assessment) -> bool:
    """Tells whether it holds most of what grew: a cache of numbers that fills beside a leak does not."""
    held = holder.bytes_per_iteration
    return held is None or 2 * held >= _bytes_kept(guilty)


def _is_beyond_memory(holder: Holder, bound: Bound, guilty: Assessment) -> bool:
    """Tells whether a cache would need more than all memory before its bound is reached: then it is none."""
    memory, items = guilty.recording.header.memory_bytes, holder.growth_per_iteration
    if bound.unit != "entry" or not memory or not items:
        return False
    return bound.capacity * _bytes_kept(guilty) / items > memory


def _against(
    counter: CounterTrend, guilty: Assessment, assessments: Sequence[Assessment]
) -> list[Assessment]:
    """The longer runs of the same code in which a counter did not grow steadily."""
    longer = [
        a
        for a in assessments
        if (a.control is None) == (guilty.control is None)
        and len(a.recording.slices) > len(guilty.recording.slices)
    ]
    return [
        a
        for a in longer
        # What is in /dev/shm is judged only where it grew in every epoch.
        if (a.counters[counter.name].trend.shape != "growing"
            if counter.name in a.counters else counter.name == "dev_shm")
    ]  # fmt: skip


def what_to_repeat(assessments: Sequence[Assessment]) -> int | None:
    """Slices to read once more, where what grew in a short run had stopped, or never grew, in a longer one.

    Either it has a bound, or it depends on how the rows are held: as long a run of the first kind tells.

    Returns:
        The longer run's slices; None where nothing contradicts anything, or nothing that a repetition decides.
    """
    guilty = leaking_arm(assessments)
    if guilty is None or contradicting_runs(guilty, assessments):
        return None
    against = [_against(counter, guilty, assessments) for counter in guilty.growing]
    if not all(against):
        return None
    shapes = {
        other.counters[c.name].trend.shape
        for c, others in zip(guilty.growing, against, strict=True)
        for other in others
        if c.name in other.counters
    }
    longest = max(len(other.recording.slices) for others in against for other in others)
    return None if "inconclusive" in shapes else longest


def without_unconfirmed(assessments: Sequence[Assessment]) -> tuple[Assessment, ...]:
    """The arms without what a longer run did not confirm, where it has confirmed something else.

    What other programs put into /dev/shm meanwhile may grow as evenly as a loop.
    """
    kept = []
    others = _is_others(assessments)
    for assessment in assessments:
        shm = assessment.counters.get("dev_shm")
        if others and shm is not None and shm.trend.grows:
            shm = replace(shm, trend=replace(shm.trend, shape="inconclusive", needs=ALONE_IN_DEV_SHM))
            assessment = replace(assessment, counters={**assessment.counters, "dev_shm": shm})
        doubtful = {c.name for c in assessment.growing if _against(c, assessment, assessments)}
        if 0 < len(doubtful) < len(assessment.growing):
            counters = {
                name: replace(
                    c, trend=replace(c.trend, shape="inconclusive", needs="a longer run did not show it")
                )
                if name in doubtful
                else c
                for name, c in assessment.counters.items()
            }
            assessment = replace(assessment, counters=counters)
        kept.append(assessment)
    return tuple(kept)


def absent_in_other_arm(assessments: Sequence[Assessment]) -> bool:
    """True where another arm with the user's code saw no steady growth in /dev/shm: what came there was not its own."""
    return any(a.recording.header.arm.consumer and "dev_shm" not in a.counters for a in assessments)


def _is_others(assessments: Sequence[Assessment]) -> bool:
    """True where what grows in /dev/shm is another program's, or may well be: none of the user's lines make it.

    Where a line does, it is the program's own, even if it grew in one mode alone.
    """
    looked = [t for a in assessments if (t := traced(a)).followed in _OF_FILES]
    return not any(t.sites for t in looked) if looked else absent_in_other_arm(assessments)


def contradicting_runs(guilty: Assessment | None, assessments: Sequence[Assessment]) -> tuple[str, ...]:
    """Why growth that looked like a leak is library overhead, for a warning: a longer run kept nothing.

    The overhead differs from process to process by as much.
    """
    if guilty is None or any(c.name not in EXACT or c.trend.rate >= LIBRARY_OVERHEAD for c in guilty.growing):
        return ()
    longer = [a for a in assessments if a.control and len(a.recording.slices) > len(guilty.recording.slices)]
    for other in longer:
        if all(
            c.name in other.counters and other.counters[c.name].trend.shape not in ("growing", "inconclusive")
            for c in guilty.growing
        ):
            counter = guilty.growing[0]
            return (
                f"{counter.kind.words} grew by {counter.trend.rate:.0f} bytes per slice over the "
                f"{len(guilty.recording.slices)} slices of '{guilty.name}', and did not go on growing over the "
                f"{len(other.recording.slices)} of '{other.name}': library overhead, not a leak",
            )
    return ()


def counter_to_trace(
    assessment: Assessment, others: Sequence[Assessment] = ()
) -> tuple[str, float, int | None] | None:
    """The counter and the rate of a leak that Python's objects have little part in; None where they have.

    Where things are counted, the third is how many bytes each of them stands for.

    Args:
        assessment: The arm that leaks.
        others: The other arms that do.
    """
    growing = {counter.name: counter.trend.rate for counter in assessment.growing}
    if "dev_shm" in growing:
        # While two arms run, each sees the files of both that no process holds open.
        seen = [c.trend.rate for other in others for c in other.growing if c.name == "dev_shm"]
        growing["dev_shm"] = min([growing["dev_shm"], *seen])
    half = sum(growing.get(name, 0.0) for name in (*EXACT, "dev_shm")) / 2
    if "python" in growing and growing["python"] >= half:
        return None
    followed = [name for name in ("arrow", "malloc", "shmem", "dev_shm", "other", *THINGS) if name in growing]
    if growing.get("dev_shm", 0.0) >= half:
        # Small things beside a file are how it was made.
        followed.sort(key=lambda name: name != "dev_shm")
    name = next(iter(followed), None)
    if name == "dev_shm" and "fds" in growing:
        # Where a file that is memory was opened, not where it was written.
        return "fds", growing["fds"], round(growing["dev_shm"] / growing["fds"])
    return None if name is None else (name, growing[name], PAGE if name in THINGS else None)
