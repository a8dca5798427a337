"""What a watched program's counters amount to: a verdict, found from the one run and without a control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from hfmemdebug.analysis.advice import from_trace
from hfmemdebug.analysis.counters import COUNTERS, EXACT, THINGS, CounterTrend
from hfmemdebug.analysis.program import THINGS_FLOOR, Program, read_program
from hfmemdebug.analysis.program_findings import (
    benign_of,
    filling_cache,
    leaks_of,
    may_be_garbage,
)
from hfmemdebug.analysis.program_open import is_steady_below_floor, open_question
from hfmemdebug.analysis.program_origin import find_origin
from hfmemdebug.analysis.program_words import advice, summary
from hfmemdebug.analysis.progress import LEAST_SAMPLES, ROWS
from hfmemdebug.analysis.words import program_limit_sentence
from hfmemdebug.recording.end import ProcessUsage
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import TreeSample
from hfmemdebug.result import ArmSummary, Result
from hfmemdebug.units import format_bytes

# What an open file, a thread or a child's handle takes in the process that has it.
_OF_A_THING = 64 << 10


def judge_program(recording: Recording) -> Result:
    """The result of `run` or of `attach` over a time.

    Args:
        recording: Its recording.
    """
    header = recording.header
    program = read_program(recording)
    if not program.snapshots:
        return _unseen(recording)
    attached = header.command == "attach"
    suspects = _guilty(program)
    filling = filling_cache(program, suspects)
    guilty = [] if filling else suspects
    leaks = leaks_of(program, guilty)
    benign = benign_of(program)
    still_open = filling or (None if guilty else open_question(program))
    died = _how_it_died(recording)
    verdict = "leak" if guilty else "inconclusive" if still_open or died else "no-leak"
    if attached and guilty:
        # Nobody knows what the program was doing when we came: growth is seen, a leak is not proved.
        verdict = "inconclusive"
        leaks = tuple(replace(leak, shape="inconclusive") for leak in leaks)
    cause = leaks[0].cause if leaks else max(benign, key=lambda f: f.growth_bytes).cause if benign else None
    rate = sum(leak.rate_bytes_per_iteration or 0.0 for leak in leaks)
    decided = verdict != "inconclusive"
    totals = _totals(program, recording)
    sites, holders = find_origin(program, guilty)
    arm = _arm(program, recording)
    limit = asdict(recording.end.limit) if recording.end.limit else None
    said = summary(program, verdict, leaks, benign, still_open, died, attached=attached)
    proved = program_limit_sentence(limit, arm)
    return Result(
        command=header.command,
        summary=f"{said} {proved}" if proved else said,
        verdict=verdict,
        cause=cause if decided or leaks else None,
        origin=None,
        iteration=program.iteration,
        rate_bytes_per_iteration=round(rate, 1) if decided or leaks else None,
        rate_bytes_per_row=round(rate / 1000, 3)
        if program.iteration == ROWS and (decided or leaks)
        else None,
        rate_bytes_per_second=_per_second(program, rate) if decided or leaks else None,
        smallest_detectable_bytes_per_iteration=_smallest(program, guilty),
        findings=tuple(sorted((*leaks, *benign), key=lambda f: (f.role != "leak", -f.growth_bytes))),
        sites=sites,
        holders=holders,
        arms=(arm,),
        advice=(
            *from_trace(sites, holders),
            *advice(
                program, verdict, leaks, benign, attached=attached, question=still_open, died=died is not None
            ),
        ),
        environment={**header.environment, **recording.end.versions},
        warnings=_warnings(program, recording),
        command_line=header.command_line,
        limit=limit,
        processes=_processes(program, recording),
        shared_memory=tuple(asdict(item) for item in recording.end.shared_memory),
        total_pss_bytes=totals["total_pss_bytes"],
        total_reclaimable_bytes=totals["total_reclaimable_bytes"],
        total_unreclaimable_bytes=totals["total_unreclaimable_bytes"],
    )


def _unseen(recording: Recording) -> Result:
    """The result of a program that ended before anybody looked at it."""
    died = _how_it_died(recording)
    question = "it ended before it was looked at; a program that runs for some seconds can be judged"
    end = recording.end
    return Result(
        command=recording.header.command,
        summary=f"Inconclusive: {died or question}.",
        verdict="inconclusive",
        cause=None,
        origin=None,
        iteration="second",
        rate_bytes_per_iteration=None,
        rate_bytes_per_row=None,
        rate_bytes_per_second=None,
        smallest_detectable_bytes_per_iteration=None,
        arms=(
            ArmSummary(
                name="program",
                mode="program",
                consumer=False,
                iterations=0,
                rows=0,
                outcome=end.outcome,
                outcome_detail=end.detail,
                exit_status=end.exit_status,
            ),
        ),
        environment=recording.header.environment,
        command_line=recording.header.command_line,
        limit=asdict(end.limit) if end.limit else None,
        processes=(),
        shared_memory=(),
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
    """Whether it is this program that fills /dev/shm, where everybody's files are counted.

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


def _per_second(program: Program, rate: float) -> float | None:
    return round(rate * program.iterations / program.judged.seconds, 1) if program.judged.seconds else None


def _unreclaimable(tree: TreeSample) -> int | None:
    anon = tree.pss_anon if tree.pss_anon is not None else tree.anon
    return None if anon is None else anon + (tree.shmem or 0) + (tree.swap or 0)


def _arm(program: Program, recording: Recording) -> ArmSummary:
    end = recording.end
    # Of what is PSS from the first sample to the last: what was RSS before would seem to shrink.
    shared_once = [
        snapshot for snapshot in program.snapshots if all(p.pss is not None for p in snapshot.processes)
    ]
    first, last = (shared_once or program.snapshots)[0].tree, program.snapshots[-1].tree
    unreclaimable = [v for snapshot in program.snapshots if (v := _unreclaimable(snapshot.tree)) is not None]
    # A sum of RSS would count shared pages in each process.
    pss = [snapshot.tree.pss for snapshot in program.snapshots if snapshot.tree.pss is not None]
    growth: dict[str, int | None] = {
        shown: None if getattr(last, name) is None else getattr(last, name) - (getattr(first, name) or 0)
        for shown, name in (
            ("rss", "pss"),
            ("file", "file"),
            ("anon", "anon"),
            ("shmem", "shmem"),
            ("swap", "swap"),
        )
    }
    growth.update({name: _change(program, name) for name in EXACT})
    return ArmSummary(
        name="program",
        mode="program",
        consumer=False,
        iterations=round(program.iterations),
        # Of all that was recorded: what the last workers read is known once they are gone.
        rows=max((tree.rows or 0 for tree in recording.trees), default=0),
        outcome=end.outcome,
        outcome_detail=end.detail,
        peak_rss_bytes=max(pss, default=None),
        peak_unreclaimable_bytes=max(unreclaimable, default=None),
        recording=str(recording.path) if recording.path is not None else None,
        seconds=round(program.seconds, 4),
        growth=growth,
        observer_share=end.observer_share,
        exit_status=end.exit_status,
    )


def _change(program: Program, name: str) -> int | None:
    """How much all processes together have gained of a counter."""
    known = [v for v in program.judged.deltas(name).total() if v is not None]
    return round(known[-1] - known[0]) if known else None


def _totals(program: Program, recording: Recording) -> dict[str, int | None]:
    """Sums over the tree, of the same sample as the processes' entries where there was one."""
    end, tree = recording.end, program.snapshots[-1].tree
    if end.processes:
        names = ("total_pss_bytes", "total_reclaimable_bytes", "total_unreclaimable_bytes")
        return {name: getattr(end, name) for name in names}
    return {
        "total_pss_bytes": tree.pss,
        "total_reclaimable_bytes": tree.file,
        "total_unreclaimable_bytes": _unreclaimable(tree),
    }


def _processes(program: Program, recording: Recording) -> tuple[dict[str, Any], ...]:
    """The processes with what each had at the peak, by the roles that they came to have."""
    roles = {p.pid: p.role for snapshot in program.snapshots for p in snapshot.processes if p.role}
    found = recording.end.processes or _last_processes(program)
    return tuple({**asdict(process), "role": roles.get(process.pid, process.role)} for process in found)


def _last_processes(program: Program) -> tuple[ProcessUsage, ...]:
    """The processes as they were last seen, where they could not be read at the end."""
    return tuple(
        ProcessUsage(
            pid=p.pid,
            ppid=p.ppid,
            role=p.role,
            rss_bytes=p.rss,
            pss_bytes=p.pss,
            anonymous_bytes=p.anon,
            file_bytes=p.file,
            shmem_bytes=p.shmem,
            swap_bytes=p.swap,
            private_dirty_bytes=p.private_dirty,
            reclaimable_bytes=p.file,
            files=(),
        )
        for p in max(program.snapshots, key=lambda snapshot: len(snapshot.processes)).processes
    )
