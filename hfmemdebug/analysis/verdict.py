"""From recordings to a result: whose growth it is, whether it is a leak, and what to say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hfmemdebug.analysis import words
from hfmemdebug.analysis.advice import NO_MEMRAY, advice
from hfmemdebug.analysis.assess import EPOCH_NOISE, Assessment, assess
from hfmemdebug.analysis.confirm import (
    absent_in_other_arm,
    contradicting_runs,
    leaking_arm,
    longest_comparable,
    pending_doubt,
    traced,
    what_to_repeat,
    without_unconfirmed,
)
from hfmemdebug.analysis.counters import EXACT, CounterTrend
from hfmemdebug.analysis.findings import (
    benign_findings,
    cause_of,
    leak_findings,
)
from hfmemdebug.analysis.judgement import Judgement
from hfmemdebug.analysis.program_verdict import judge_program
from hfmemdebug.analysis.ranks import with_ranks
from hfmemdebug.analysis.summaries import summarise
from hfmemdebug.analysis.words import limit_of_run
from hfmemdebug.errors import InputError
from hfmemdebug.leak import Site
from hfmemdebug.recording.file import Recording
from hfmemdebug.result import Finding, Result


def assess_all(recordings: Sequence[Recording]) -> tuple[Assessment, ...]:
    """Judges every arm, one with the user's consumer against the one without in the same mode."""
    controls = {r.header.arm.mode: r for r in recordings if not r.header.arm.consumer}
    return tuple(
        assess(
            recording,
            controls.get(recording.header.arm.mode) if recording.header.arm.consumer else None,
        )
        for recording in recordings
    )


def find_guilty_of(recordings: Sequence[Recording]) -> Assessment | None:
    """The arm that a run's leak is told of; None where nothing leaks."""
    return leaking_arm(_assess_in_order(recordings))


def _assess_in_order(recordings: Sequence[Recording]) -> tuple[Assessment, ...]:
    judged = sorted((r for r in recordings if r.slices), key=_order)
    return without_unconfirmed(assess_all(judged))


def what_is_open(assessments: Sequence[Assessment]) -> str | None:
    """Returns what more work would decide, in words; None where nothing is open.

    A leak that is found closes the case of its arm: what else may grow there cannot make it none.
    """
    for assessment in assessments:
        if assessment.growing:
            continue
        if not any(name in assessment.counters for name in EXACT):
            return f"too few slices were read ({assessment.name}); {words.MORE_EPOCHS}"
        for counter in assessment.open:
            if counter.name == "dev_shm" and absent_in_other_arm(assessments):
                continue
            # Only where nothing else uses /dev/shm is more of the same of use.
            then = "" if counter.name == "dev_shm" else f"; {words.MORE_EPOCHS}"
            return f"{counter.kind.words} ({assessment.name}): {counter.trend.needs}{then}"
        if assessment.recording.header.subject == "arm" and _was_read_too_rarely(assessment):
            return (
                f"malloc was read too rarely for one epoch to tell ({assessment.name}); {words.MORE_EPOCHS}"
            )
    return None


def _was_read_too_rarely(assessment: Assessment) -> bool:
    """True where the user's code ran and malloc, which can be read here, was read only now and then for its cost."""
    return (
        assessment.recording.header.arm.consumer
        and "malloc" in assessment.unread
        and any(sample.malloc is not None for sample in assessment.recording.samples)
    )


def judge(recordings: Sequence[Recording]) -> Result:
    """The result of a run: of arms, of a loop that was recorded from within, or of a watched program and its ranks.

    Args:
        recordings: One or more arms of one run; each header says which arm it is. Or one of a watched program.

    Raises:
        InputError: There is nothing in the recordings to be judged.
    """
    if recordings and recordings[0].watched:
        return with_ranks(judge_program(recordings[0]), recordings[0])
    recordings = sorted(recordings, key=_order)
    assessments = _assess_in_order(recordings)
    if not assessments:
        raise InputError("there is not one sample in the recording: it ended before the first slice was read")
    guilty = leaking_arm(assessments)
    refuted = contradicting_runs(guilty, assessments)
    doubt = None if refuted else pending_doubt(guilty, assessments)
    if doubt is not None or refuted:
        guilty = None
    subject = longest_comparable(guilty, assessments) if guilty is not None else assessments[0]
    judgement = _decide(recordings, assessments, guilty, subject, doubt)
    arms = tuple(summarise(r) for r in recordings)
    limit, limited = limit_of_run(recordings, arms) or (None, arms[0])
    said = words.summary(judgement, subject if guilty is not None else None, assessments)
    result = judgement.to_result(
        subject.recording.header if guilty is None else assessments[0].recording.header,
        arms,
        said + words.limit_sentence(limit, limited),
        advice(judgement, assessments, no_frames=traced(guilty).native_frames),
        (*refuted, *_warnings(recordings, assessments), *_untraced(guilty)),
    )
    return replace(result, limit=limit)


def _decide(
    recordings: Sequence[Recording],
    assessments: Sequence[Assessment],
    guilty: Assessment | None,
    subject: Assessment,
    doubt: str | None,
) -> Judgement:
    """Decides what leaks in arms, and what is open.

    Args:
        recordings: All arms, those without a slice among them.
        assessments: Those that could be judged.
        guilty: The arm that leaks, if any.
        subject: The arm whose rate is told.
        doubt: Why what grew may have a bound, if it may.
    """
    question = None
    if guilty is None:
        question = (
            _unreadable(recordings)
            or what_is_open(assessments)
            or doubt
            or _too_short(recordings, assessments)
        )
    leaks = tuple(f for a in assessments for f in leak_findings(a)) if guilty is not None else ()
    benign = benign_findings(assessments)
    cause = leaks[0].cause if leaks else cause_of(benign, subject.name)
    return Judgement(
        "leak" if guilty is not None else "inconclusive" if question is not None else "no-leak",
        assessments[0].recording.header.iteration,
        leaks,
        benign,
        cause=cause,
        origin=_origin(guilty),
        rate=sum(f.rate_bytes_per_iteration or 0.0 for f in leaks if f.arm == subject.name),
        rows_per_iteration=subject.recording.header.workload.step,
        iterations_per_second=_pace(subject.recording),
        smallest=_smallest_detectable(assessments),
        sites=_sites(guilty, cause),
        holders=traced(guilty).holders,
        question=question,
        died=next((r.end.detail or "it was killed" for r in recordings if r.end.died), None),
    )


def _order(recording: Recording) -> tuple[int, bool]:
    """Mapped before in memory, the control before the consumer: the order in which arms are shown."""
    arm = recording.header.arm
    modes = ("mmap", "in-memory", "streaming")
    return modes.index(arm.mode) if arm.mode in modes else len(modes), arm.consumer


def _sites(guilty: Assessment | None, cause: str | None) -> tuple[Site, ...]:
    """The lines that made what leaks.

    What C libraries ask malloc for has no line in Python. The user's line that made the object around it
    has one; a library's line that kept a few bytes beside it would mislead.
    """
    return tuple(site for site in traced(guilty).sites if cause == "python-objects" or not site.in_library)


def _untraced(guilty: Assessment | None) -> tuple[str, ...]:
    """Returns what the tracing pass failed of."""
    found = traced(guilty)
    if found.failed is not None:
        return (f"not measured here: the line of the leak, since tracing failed ({found.failed})",)
    why = found.native_frames
    return () if why in (None, NO_MEMRAY) else (f"not measured here: the C functions of the leak ({why})",)


def _origin(guilty: Assessment | None) -> str | None:
    """Returns whose leak it is; None where the user's code ran and no control tells it from the libraries.

    Where the rows come from, a dataset or an iterable, is the library of the code that reads them.
    """
    if guilty is None:
        return None
    if guilty.control is not None:
        return "user-code"
    return None if guilty.recording.header.arm.consumer else "library"


def _unreadable(recordings: Sequence[Recording]) -> str | None:
    """Returns why the data ended the run: no other question can be answered before they are mended."""
    for recording in recordings:
        if recording.end.data_error is not None:
            return f"the data could not be read to their end: {recording.end.detail}"
    return None


def _too_short(recordings: Sequence[Recording], assessments: Sequence[Assessment]) -> str | None:
    """Why a run that shows no growth does not show its absence either."""
    for recording in [r for r in recordings if r.header.arm.consumer] or recordings[:1]:
        if recording.end.died:
            detail = recording.end.detail or "it was killed"
            return f"the program did not get to its end: {detail}"
    if not any(a.counters for a in assessments):
        return "too few slices were read; read more of them (--iterations, --epochs)"
    for assessment in assessments:
        for counter in assessment.counters.values():
            if assessment.below_library_floor(counter):
                return (
                    f"{counter.kind.words} grew by {counter.trend.rate:.0f} bytes per slice in every "
                    "epoch, which may be your code's or a library's; hfmemdebug diagnose with the same options "
                    "measures both"
                )
        missing = [name for name in EXACT if name not in assessment.counters]
        if len(missing) == len(EXACT):
            return f"the arm '{assessment.name}' was cut short before anything could be compared"
    return None


def _pace(recording: Recording) -> float | None:
    """Slices per second; None where their time is not known."""
    slices, seconds = recording.slices, recording.end.loop_seconds
    if not seconds and len(slices) > 1:
        seconds = slices[-1].seconds - slices[0].seconds
    return len(slices) / seconds if seconds else None


def _smallest_detectable(assessments: Sequence[Assessment]) -> float | None:
    """The largest leak that any exact counter could have missed: each owner is looked at on its own.

    Where the user's code was measured against a control, it is their leak that is looked for.
    """
    against = [a for a in assessments if a.control is not None] or assessments
    seen = [
        c.trend.resolution
        for a in against
        for c in a.counters.values()
        # Where malloc cannot be read, its leaks show in pages alone.
        if c.name in EXACT or (c.name == "other" and "malloc" in a.unread)
    ]
    return round(max(seen), 1) if seen else None


def _warnings(recordings: Sequence[Recording], assessments: Sequence[Assessment]) -> tuple[str, ...]:
    lines: list[str] = []
    for recording in recordings:
        lines.extend(f"not measured here: {what}" for what in recording.header.missing)
        lines.extend(recording.header.loaded.notes if recording.header.loaded else ())
        lines.extend(recording.header.notes)
        lines.extend(_memory_backed(recording))
    for recording in recordings:
        if recording.end.died:
            detail = recording.end.detail or "its recording ends without a closing line"
            lines.append(f"the arm '{recording.header.arm.name}' did not end by itself: {detail}")
    for assessment in assessments:
        if not assessment.recording.header.arm.consumer:
            lines.extend(
                _say_overhead(c, assessment)
                for c in assessment.counters.values()
                if _is_library_overhead(c, assessment)
            )
    return tuple(dict.fromkeys(lines))


def _is_library_overhead(counter: CounterTrend, assessment: Assessment) -> bool:
    if counter.name not in EXACT or counter.trend.shape in ("growing", "inconclusive"):
        return False
    ours = EPOCH_NOISE[counter.name] / max(assessment.recording.header.workload.count, 1)
    return counter.trend.low > 2 * ours


def _say_overhead(counter: CounterTrend, assessment: Assessment) -> str:
    whose = (
        "the iterable's or the libraries'" if words.is_iterable(assessment.recording) else "the library's own"
    )
    return (
        f"without any consumer of yours, {counter.kind.words} grew by {counter.trend.rate:.0f} bytes "
        f"per slice ({assessment.name}): too little to be called a leak, and {whose}"
    )


def _memory_backed(recording: Recording) -> list[str]:
    files = recording.header.loaded.files if recording.header.loaded else ()
    kinds = sorted({str(file.filesystem) for file in files if file.memory_backed})
    if not kinds:
        return []
    return [
        f"the dataset's files are on {', '.join(kinds)}: its mapped pages are shared memory, which cannot be "
        "taken back without swap and counts in full towards a container's limit"
    ]


__all__ = ["Finding", "assess_all", "find_guilty_of", "judge", "what_is_open", "what_to_repeat"]
