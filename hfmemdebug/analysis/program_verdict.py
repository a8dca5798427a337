"""Decides what a watched program's counters amount to, from one run and without a control: what leaks, what is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from hfmemdebug.analysis.advice import program_advice
from hfmemdebug.analysis.counters import COUNTERS, EXACT, MB, NOTEWORTHY, THINGS, CounterTrend
from hfmemdebug.analysis.judgement import Judgement
from hfmemdebug.analysis.program import THINGS_FLOOR, Program, read_program
from hfmemdebug.analysis.program_findings import (
    benign_of,
    beside_garbage,
    filling_cache,
    find_origin,
    is_garbage,
    leaks_of,
    may_be_garbage,
)
from hfmemdebug.analysis.snapshots import LEAST_SAMPLES, ROWS, SECONDS, imports_to_the_end
from hfmemdebug.analysis.summaries import summarise_program, with_processes
from hfmemdebug.analysis.words import limit_sentence, program_summary
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import Header
from hfmemdebug.recording.sample import TreeSample
from hfmemdebug.result import Result
from hfmemdebug.units import format_bytes, format_seconds

# What an open file, a thread or a child's handle takes in the process that has it: without it, children_left_open,
# descriptors_left_open and threads_never_end are told as their Python objects.
_OF_A_THING = 64 << 10


def judge_program(recording: Recording) -> Result:
    """The result of `run` or of `attach` over a time.

    Args:
        recording: Its recording.
    """
    program = read_program(recording)
    end = recording.end
    limit = asdict(end.limit) if end.limit else None
    judgement = _decide(program)
    arm = summarise_program(program)
    result = judgement.to_result(
        recording.header,
        (arm,),
        program_summary(judgement, program) + limit_sentence(limit, arm),
        program_advice(judgement, program) if program.snapshots else (),
        _warnings(program, recording) if program.snapshots else (),
    )
    environment = {**recording.header.environment, **end.versions}
    return with_processes(replace(result, limit=limit, environment=environment), program)


def _decide(program: Program) -> Judgement:
    """Decides what leaks in a watched program, and what is open."""
    died = _how_it_died(program.recording)
    if not program.snapshots:
        unseen = "it ended before it was looked at; a program that runs for some seconds can be judged"
        return Judgement("inconclusive", SECONDS, question=died or unseen)
    suspects = _guilty(program)
    filling = filling_cache(program, suspects)
    guilty = [] if filling else suspects
    leaks, benign = leaks_of(program, guilty), benign_of(program)
    question = filling or (None if guilty else open_question(program))
    verdict = "leak" if guilty else "inconclusive" if question or died else "no-leak"
    if program.attached and guilty:
        # What the program was doing until then is not known: growth is seen, a leak is not proved.
        verdict = "inconclusive"
        leaks = tuple(replace(leak, shape="inconclusive") for leak in leaks)
    sites, holders = find_origin(program, guilty)
    return Judgement(
        verdict,
        program.iteration,
        leaks,
        benign,
        cause=max(benign, key=lambda f: f.growth_bytes).cause if benign else None,
        rate=sum(leak.rate_bytes_per_iteration or 0.0 for leak in leaks),
        rows_per_iteration=1000 if program.iteration == ROWS else None,
        iterations_per_second=program.iterations / program.judged.seconds if program.judged.seconds else None,
        smallest=_smallest(program, guilty),
        sites=sites,
        holders=holders,
        question=question,
        died=died,
    )


def _guilty(program: Program) -> list[CounterTrend]:
    """The counters that leak, each byte in one of them alone."""
    grows = {name: counter for name, counter in program.counters.items() if counter.trend.grows}
    if may_be_garbage(program):
        grows.pop("python", None)
    exact = [grows[name] for name in EXACT if name in grows]
    things = [grows[name] for name in THINGS_FLOOR if name in grows]
    shared = _in_shared_memory(program, grows)
    count = sum(counter.trend.growth for counter in things)
    if things and sum(counter.trend.growth for counter in exact) <= _OF_A_THING * count:
        # The objects, buffers and stacks that come with each of them.
        return [*shared, *things, *exact]
    if exact or shared or things:
        return [*exact, *shared, *things]
    if program.recording.traces is not None:
        # Tracing's own tables are among it, which grow with whatever is kept for a while.
        grows.pop("other", None)
    return [grows[name] for name in ("other", "pages") if name in grows]


def _in_shared_memory(program: Program, grows: Mapping[str, CounterTrend]) -> list[CounterTrend]:
    """The one counter of the same bytes that tells them best, if any grows: by mappings, or by files."""
    mapped, made, files = (grows.get(name) for name in ("shmem", "segments", "dev_shm"))
    if mapped is not None and made is not None and mapped.trend.growth < made.trend.growth / 2:
        # Of a segment that is kept, few pages may have been touched by those who map it.
        return [made]
    if known := mapped or made:
        return [known]
    return [files] if files is not None and _fills_shm(program, files) else []


def _fills_shm(program: Program, counter: CounterTrend) -> bool:
    """True where it is this program that fills /dev/shm, where everybody's files are counted.

    As much as came must be in segments that its own processes have made, or in files of its user's that came
    meanwhile, where it has written that much and nobody else of that user has.
    """
    end, half = program.recording.end, counter.trend.growth / 2
    if end.shm_of_ours >= half:
        return True
    written, others = end.written_bytes, end.written_by_others_bytes
    return (
        written is not None
        and others is not None
        and end.shm_new_files_bytes >= half
        and written >= half > others
    )


def _how_it_died(recording: Recording) -> str | None:
    end = recording.end
    if end.is_missing:
        return "its recording ends without a closing line: hfmemdebug was killed"
    if end.died:
        return end.detail or "the program failed"
    if end.cut:
        return f"its recording could not be written to the end ({end.cut})"
    return None


def _warnings(program: Program, recording: Recording) -> tuple[str, ...]:
    lines = list(recording.end.notes)
    # Python takes more than one sample to start on a busy machine, and a program may have ended by then.
    if (
        not program.exact
        and recording.header.command == "run"
        and (len(program.snapshots) >= LEAST_SAMPLES or not recording.end.samplers)
    ):
        lines.append(
            "no sampler ran inside the program (no CPython, or started with -I, -E or -S): it is judged from outside, "
            "by its pages, which show large leaks alone"
        )
    for name in EXACT:
        counter = program.counters.get(name)
        if counter is not None and not counter.trend.grows and is_steady_below_floor(program, counter):
            lines.append(
                f"{COUNTERS[name].words} grew by {format_bytes(counter.trend.rate)} per {program.iteration} all along: "
                "too little in this run to be called a leak; a longer one, or --min-leak, would tell"
            )
    last = program.snapshots[-1].processes
    # A process that was there for one sample alone has had no turn yet.
    unread = [p for p in last if p.pss is None and p.seconds > program.first_of[p.pid].seconds]
    if unread and not any("PSS" in line for line in lines):
        who = ", ".join(f"{p.role} ({p.pid})" for p in unread[:8])
        more = f" and {len(unread) - 8} more" if len(unread) > 8 else ""
        lines.append(f"PSS was not read of {who}{more}: sums count the pages that they share in each of them")
    return tuple(dict.fromkeys(lines))


def _smallest(program: Program, guilty: Sequence[CounterTrend]) -> float | None:
    # What was found was seen, however noisy the other counters are.
    names = [counter.name for counter in guilty if counter.name not in THINGS] or (
        EXACT if program.exact else ("pages",)
    )
    resolved = [program.counters[name].trend.resolution for name in names if name in program.counters]
    return round(max(resolved), 1) if resolved else None


# Shared memory of a process that has the locks of queues and pools alone, each in a page of its own.
_LOCKS = 64 << 10


def open_question(program: Program) -> str | None:
    """Returns what keeps the run from showing that nothing leaks."""
    judged = [name for name in EXACT if name in program.counters]
    if not program.counters or (program.exact and not judged):
        if imports_to_the_end(program.snapshots):
            return (
                "it imported modules until its end, and what they take cannot be told from growth; let it run "
                "longer, or import all before the work"
            )
        return (
            f"it was watched for {format_seconds(program.seconds)}, which is too short to tell growth from "
            "starting up; let it run longer"
        )
    if may_be_garbage(program) and not is_garbage(program):
        if (rest := beside_garbage(program)) >= program.floor:
            return (
                "Python objects grew, and at the end the collector took many of them as garbage; whether the other "
                f"{format_bytes(rest)} go on growing a longer run would tell"
            )
        return (
            "Python objects grew, and at the end the collector took as many that were garbage, which imports may have "
            "left behind; a longer run would tell"
        )
    for name, growth in program.afterwards.items():
        return (
            f"{COUNTERS[name].words} grew by {format_bytes(growth.growth)} after the "
            "analysed interval, which was not for long; a longer run would tell"
        )
    return next(
        (
            asked
            for counter in program.counters.values()
            if (asked := _asked_of(program, counter)) is not None
        ),
        None,
    )


def _asked_of(program: Program, counter: CounterTrend) -> str | None:
    """Returns what of one counter's growth is open."""
    name, growth = counter.name, counter.trend
    if name == "dev_shm" and growth.grows:
        if _cannot_fill_shm(program, counter):
            return None
        return "files in /dev/shm grew evenly, and whose they are cannot be told; look who else uses it"
    steady = is_steady_below_floor(program, counter)
    if steady and (name == "pages" or (name == "other" and growth.growth >= NOTEWORTHY)):
        # No counter says whose they are: what rose all along is not called none.
        return (
            f"{COUNTERS[name].words} grew by {format_bytes(growth.rate)} per {program.iteration} all along, which is "
            f"too little in {format_seconds(program.seconds)} to be told from what allocators do; watch it for longer"
        )
    if name in EXACT and _tracing_may_hide(program, counter):
        return (
            f"{COUNTERS[name].words} grew by {format_bytes(growth.growth)} while tracing disturbed the counters; "
            "without --trace it can be told whether that goes on"
        )
    if name == "other" and growth.grows:
        return (
            f"{COUNTERS[name].words} grew by {format_bytes(growth.growth)}, and what tracing has in use is among it; "
            "without --trace it can be told"
        )
    if growth.shape != "inconclusive":
        return None
    rise = growth.high * program.iterations
    if name in ("other", "pages") and growth.growth < NOTEWORTHY:
        return None
    if name in THINGS and growth.low <= 0:
        # Workers that come and go bring some and take them away.
        return None
    if name == "dev_shm":
        # What others put there is seldom even: it says nothing about this program.
        return None
    unit = "" if name in THINGS else f", up to {format_bytes(rise)} over the run"
    return f"{COUNTERS[name].words}: {growth.needs}{unit}; a longer run would tell"


def is_steady_below_floor(program: Program, counter: CounterTrend) -> bool:
    """True where a counter rose all along, by too little to be called growth."""
    growth = counter.trend
    return (
        growth.shape == "stable"
        and growth.low > 0.8 * growth.rate
        and growth.rate * program.iterations > MB / 8
    )


def _cannot_fill_shm(program: Program, counter: CounterTrend) -> bool:
    """True where the program has not written as much as came to /dev/shm, and never maps anything there.

    What maps one file after the other is never seen with all of them.
    """
    written = program.recording.end.written_bytes
    mapped = max((p.shmem or 0 for snapshot in program.snapshots for p in snapshot.processes), default=0)
    return written is not None and mapped < _LOCKS and bool(written < counter.trend.growth / 2)


def _tracing_may_hide(program: Program, counter: CounterTrend) -> bool:
    """True where what grew, by both its ends and its pace, is within what a reading of a traced program moves."""
    if program.recording.traces is None:
        return False
    least = min(counter.trend.growth, counter.trend.rate * program.iterations)
    return counter.trend.shape == "stable" and least >= program.floor


def judge_so_far(header: Header, trees: Sequence[TreeSample]) -> str:
    """Judges a program that goes on, in a few words.

    Args:
        header: Its recording's header, with the floor below which nothing is called growth.
        trees: What was read of it so far.
    """
    program = read_program(Recording(header, trees=trees))
    counter = program.counters.get("pages")
    if counter is None:
        return "watching"
    if is_steady_below_floor(program, counter):
        return "growing, too little so far to judge"
    words = {
        "growing": "sustained growth",
        "stable": "not growing",
        "step": "grew once",
        "plateau": "grew and stopped",
        "inconclusive": "not clear yet",
    }
    return words[counter.trend.shape]
