"""The ranks of one run, each judged alone, as one result: which of them grow, on which node, outliers first.

Ranks do the same work, so what one of them keeps and the others do not stands out. With many of them one will
look by chance as if it grew: the more ranks there are, the clearer a lone one's growth has to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist, median
from typing import Any

from hfmemdebug.analysis.program_verdict import judge_program
from hfmemdebug.analysis.rank import (
    Rank,
    advice_for,
    clean_summary,
    count_of,
    different_versions,
    first_death,
    grown,
    leak_summary,
    leaks,
    missing_lines,
    numbers_in_words,
    open_summary,
    rank_of_recording,
    warnings_of,
)
from hfmemdebug.recording.end import End
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import Launch
from hfmemdebug.recording.sample import ProcessSample, TreeSample
from hfmemdebug.result import Finding, Result

# As many of the ranks confirm each other.
_MANY = 0.25
# The intervals of a rank's rate are of two standard errors.
_TWO_SIGMA = NormalDist().cdf(-2.0)


def merge(found: Sequence[Rank]) -> Result:
    """One result for the ranks of a run.

    Args:
        found: Every rank's recording that there is, in any order; there is at least one.
    """
    ranks, warnings = _of_one_run(found)
    nodes = _nodes(ranks)
    guilty = _guilty(ranks)
    unproved = [r for r in ranks if r.result.verdict == "leak" and r not in guilty]
    still_open = [r for r in ranks if r.result.verdict not in ("leak", "no-leak")]
    missing = _missing(ranks)
    ordered = _outliers_first(ranks, guilty, [*unproved, *still_open])
    verdict = "leak" if guilty else "inconclusive" if unproved or still_open or missing else "no-leak"
    worst = ordered[0]
    subject = worst.result
    if guilty:
        summary = leak_summary(ordered, guilty, missing, nodes)
    elif verdict == "inconclusive":
        summary = open_summary(ranks, ordered, unproved, still_open, missing, nodes)
    else:
        summary = clean_summary(ranks, nodes)
    decided = verdict != "inconclusive"
    first = min(ranks, key=lambda rank: rank.number)
    resolved = [s for r in ranks if (s := r.result.smallest_detectable_bytes_per_iteration) is not None]
    return Result(
        command=first.result.command,
        summary=summary + first_death(ranks, nodes),
        verdict=verdict,
        cause=subject.cause if decided or guilty else None,
        origin=subject.origin if guilty else None,
        iteration=subject.iteration,
        rate_bytes_per_iteration=subject.rate_bytes_per_iteration if decided else None,
        rate_bytes_per_row=subject.rate_bytes_per_row if decided else None,
        rate_bytes_per_second=subject.rate_bytes_per_second if decided else None,
        smallest_detectable_bytes_per_iteration=subject.smallest_detectable_bytes_per_iteration
        if guilty
        else max(resolved, default=None),
        findings=_findings(ordered, guilty),
        sites=subject.sites if guilty else (),
        holders=subject.holders if guilty else (),
        arms=tuple(replace(rank.arm, name=f"rank {rank.number}") for rank in ordered),
        advice=advice_for(verdict, ordered, guilty, ranks),
        environment=first.result.environment,
        warnings=(*warnings, *different_versions(ranks), *missing_lines(ranks, missing), *warnings_of(ranks)),
        command_line=first.result.command_line,
        processes=tuple(_processes(ordered, nodes)),
        shared_memory=(),
        total_pss_bytes=_total(r.result.total_pss_bytes for r in ranks),
        total_reclaimable_bytes=_total(r.result.total_reclaimable_bytes for r in ranks),
        total_unreclaimable_bytes=_total(r.result.total_unreclaimable_bytes for r in ranks),
        ranks=tuple(_entry(rank, nodes, guilty) for rank in ordered),
        nodes=tuple(_node_entries(ranks, nodes, guilty)),
    )


def with_ranks(result: Result, recording: Recording) -> Result:
    """The result of a launcher's whole tree, with its ranks where there are several, each judged alone as well."""
    parts = ranks_within(recording)
    if not parts:
        return result
    merged = merge([rank_of_recording(part, judge_program(part)) for part in parts if part.trees])
    if merged.verdict != "leak":
        return replace(result, ranks=merged.ranks, nodes=merged.nodes)
    return replace(
        merged,
        arms=result.arms,
        processes=result.processes,
        shared_memory=result.shared_memory,
        total_pss_bytes=result.total_pss_bytes,
        total_reclaimable_bytes=result.total_reclaimable_bytes,
        total_unreclaimable_bytes=result.total_unreclaimable_bytes,
        warnings=tuple(dict.fromkeys((*result.warnings, *merged.warnings))),
        environment=result.environment,
        limit=result.limit,
    )


def _of_one_run(found: Sequence[Rank]) -> tuple[list[Rank], list[str]]:
    """The last start of each rank of the newest run, and a line for what is left out."""
    newest = max(found, key=lambda rank: rank.began or 0.0)
    same = [rank for rank in found if rank.launch.job == newest.launch.job]
    if newest.began is not None:
        # Ranks of one run live at the same time, and a restart comes after all of them.
        same = [
            r
            for r in same
            if r.ended is None or r.ended >= newest.began or r.launch.restart < newest.launch.restart
        ]
    warnings = []
    if len(same) < len(found):
        count = len(found) - len(same)
        verb = "are" if count > 1 else "is"
        warnings.append(
            f"{count_of(count, 'recording')} of an earlier run in the same folder {verb} left out"
        )
    last: dict[int, Rank] = {}
    for rank in sorted(same, key=lambda rank: rank.launch.restart):
        before = last.get(rank.number)
        if before is not None and before.died:
            warnings.append(
                f"rank {rank.number} was started anew after {before.arm.outcome_detail or before.arm.outcome}: what "
                "it did until then is in a recording of its own"
            )
        last[rank.number] = rank
    return [last[number] for number in sorted(last)], warnings


def _nodes(ranks: Sequence[Rank]) -> dict[int, int]:
    """The number of each rank's node: the launcher's, or else in the order of the ranks."""
    told = {rank.number: rank.launch.node for rank in ranks if rank.launch.node is not None}
    if len(told) == len(ranks):
        return told
    known: dict[str | None, int] = {}
    return {rank.number: known.setdefault(rank.launch.place, len(known)) for rank in ranks}


def _guilty(ranks: Sequence[Rank]) -> list[Rank]:
    """The ranks that leak: where they are few among many, those that do so beyond what chance explains."""
    leaking = [rank for rank in ranks if rank.result.verdict == "leak"]
    if len(leaking) >= max(_MANY * len(ranks), 2):
        return leaking
    wider = -NormalDist().inv_cdf(_TWO_SIGMA / len(ranks)) / 2
    return [rank for rank in leaking if any(_lowest(f, wider) > 0 for f in leaks(rank))]


def _lowest(finding: Finding, wider: float) -> float:
    """The lower bound of a rate, once its interval is so many times as wide."""
    rate = finding.rate_bytes_per_iteration or 0.0
    return rate if finding.interval is None else rate - wider * (rate - finding.interval[0])


def _missing(ranks: Sequence[Rank]) -> list[int]:
    """The ranks that left no recording."""
    world = max((rank.launch.world or 0 for rank in ranks), default=0)
    there = {rank.number for rank in ranks}
    return [number for number in range(world) if number not in there]


def _outliers_first(
    ranks: Sequence[Rank], guilty: Sequence[Rank], unclear: Sequence[Rank]
) -> tuple[Rank, ...]:
    """Those that leak by how much, then what died or is not clear, then by distance from the middle."""
    middle = median(rank.arm.peak_unreclaimable_bytes or 0 for rank in ranks)
    leaking = {rank.number for rank in guilty}
    open_ones = {rank.number for rank in unclear}

    def place(rank: Rank) -> tuple[int, float, int]:
        far = abs((rank.arm.peak_unreclaimable_bytes or 0) - middle)
        if rank.number in leaking:
            return 0, -grown(rank), rank.number
        return (1 if rank.number in open_ones or rank.died else 2), -far, rank.number

    return tuple(sorted(ranks, key=place))


def _findings(ordered: Sequence[Rank], guilty: Sequence[Rank]) -> tuple[Finding, ...]:
    """One finding a cause: growth of all ranks, the rate of the one that grows most, and which they are."""
    leaking = {rank.number for rank in guilty}
    groups: dict[tuple[str, str], list[tuple[Rank, Finding]]] = {}
    for rank in ordered:
        for finding in rank.result.findings:
            if finding.role == "benign" or rank.number in leaking:
                groups.setdefault((finding.role, finding.cause), []).append((rank, finding))
    merged = []
    for members in groups.values():
        rank, most = max(members, key=lambda member: member[1].growth_bytes)
        numbers = sorted({member.number for member, _ in members})
        who = f"in rank {numbers_in_words(numbers)}" if len(numbers) > 1 else f"in rank {numbers[0]}"
        merged.append(
            replace(
                most,
                growth_bytes=sum(finding.growth_bytes for _, finding in members),
                detail=f"{who}: {most.detail}" if most.detail else who,
                arm=f"rank {rank.number}",
            )
        )
    return tuple(sorted(merged, key=lambda f: (f.role != "leak", -f.growth_bytes)))


def _processes(ordered: Sequence[Rank], nodes: Mapping[int, int]) -> Iterable[dict[str, Any]]:
    """Every rank's processes: numbers of processes say nothing across nodes, so their rank stands before them."""
    for rank in ordered:
        for process in rank.result.processes or ():
            role = str(process["role"])
            named = role if role == f"rank {rank.number}" else f"rank {rank.number}: {role}"
            yield {**process, "role": named, "rank": rank.number, "node": nodes[rank.number]}


def _entry(rank: Rank, nodes: Mapping[int, int], guilty: Sequence[Rank]) -> dict[str, Any]:
    result, arm = rank.result, rank.arm
    unproved = result.verdict == "leak" and rank not in guilty
    leak = next(iter(leaks(rank)), None)
    return {
        "rank": rank.number,
        "node": nodes[rank.number],
        "restart": rank.launch.restart,
        "verdict": "inconclusive" if unproved else result.verdict,
        "cause": result.cause,
        "iteration": result.iteration,
        "rate_bytes_per_iteration": result.rate_bytes_per_iteration,
        "interval": list(leak.interval) if leak is not None and leak.interval is not None else None,
        "growth_bytes": grown(rank),
        "peak_pss_bytes": arm.peak_rss_bytes,
        "peak_unreclaimable_bytes": arm.peak_unreclaimable_bytes,
        "rows": arm.rows,
        "seconds": round(rank.seconds, 3),
        "outcome": arm.outcome,
        "exit_status": arm.exit_status,
        "summary": result.summary,
        "recording": arm.recording,
    }


def _node_entries(
    ranks: Sequence[Rank], nodes: Mapping[int, int], guilty: Sequence[Rank]
) -> Iterable[dict[str, Any]]:
    leaking = {rank.number for rank in guilty}
    for node in sorted(set(nodes.values())):
        there = [rank for rank in ranks if nodes[rank.number] == node]
        yield {
            "node": node,
            "ranks": [rank.number for rank in there],
            "leaking": [rank.number for rank in there if rank.number in leaking],
            # Ranks peak at different times: no more than this at once.
            "peak_pss_bytes": _total(rank.arm.peak_rss_bytes for rank in there),
            "peak_unreclaimable_bytes": _total(rank.arm.peak_unreclaimable_bytes for rank in there),
            "growth_bytes": sum(grown(rank) for rank in there if rank.number in leaking),
        }


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


_ROLE = re.compile(r"rank (\d+)")


def ranks_within(recording: Recording) -> list[Recording]:
    """The recordings of the ranks below a launcher, by rank; none where it is of no launcher.

    How a single rank ended was not seen: each is given the launcher's own end, and its own time.
    """
    heads: dict[int, int] = {}
    parents: dict[int, int | None] = {}
    for sample in (process for tree in recording.trees for process in tree.processes):
        parents.setdefault(sample.pid, sample.ppid)
        found = _ROLE.fullmatch(sample.role or "")
        if found and sample.ppid is not None:
            heads.setdefault(sample.pid, int(found[1]))
    if len(set(heads.values())) < 2:
        return []
    rank_of = {pid: rank for pid in parents if (rank := _rank_above(pid, parents, heads)) is not None}
    parts: dict[int, _Part] = {rank: _Part() for rank in sorted(set(heads.values()))}
    for tree in recording.trees:
        for rank, part in parts.items():
            part.look([s for s in tree.processes if rank_of.get(s.pid) == rank], tree)
    return [_recording_of(recording, rank, part, len(parts), rank_of) for rank, part in parts.items()]


class _Part:
    """One rank's looks."""

    def __init__(self) -> None:
        self.trees: list[TreeSample] = []
        self._rows: dict[int, int] = {}
        # By PID, the anonymous part of its PSS as it was read last, and what was anonymous then.
        self._read: dict[int | None, tuple[int, int]] = {}

    def look(self, processes: Sequence[ProcessSample], tree: TreeSample) -> None:
        """Adds a look: the rank's processes, then their sum."""
        if not processes:
            return
        # The rank's own process has its parent elsewhere, and is the root of this part.
        known = {p.pid for p in processes}
        own = [replace(p, ppid=p.ppid if p.ppid in known else None) for p in processes]
        own.sort(key=lambda p: p.ppid is not None)
        self._rows.update({p.pid: p.rows for p in own if p.rows is not None})
        self.trees.append(
            TreeSample(
                seconds=tree.seconds,
                rss=_sum(p.pss if p.pss is not None else p.rss for p in own),
                anon=_sum(self._anonymous(p) for p in own),
                file=_sum(p.pss_file if p.pss_file is not None else p.file for p in own),
                shmem=_sum(p.pss_shmem if p.pss_shmem is not None else p.shmem for p in own),
                swap=_sum(p.swap for p in own),
                threads=_sum(p.threads for p in own),
                fds=_sum(p.fds for p in own),
                children=len(own) - 1,
                pss=_sum(p.pss if p.pss is not None else p.rss for p in own),
                pss_anon=_sum(p.pss_anon for p in own),
                # Of those that have ended, what they had read last.
                rows=sum(self._rows.values()),
                processes=tuple(own),
            )
        )

    def _anonymous(self, process: ProcessSample) -> int | None:
        """Returns what it has of the anonymous memory by now: PSS is read seldom, and what came since is its own."""
        if process.pss_anon is None or process.anon is None:
            return process.anon if process.pss_anon is None else process.pss_anon
        if self._read.get(process.pid, (None, 0))[0] != process.pss_anon:
            self._read[process.pid] = (process.pss_anon, process.anon)
        shared, then = self._read[process.pid]
        return max(0, shared + process.anon - then)


def _rank_above(pid: int, parents: dict[int, int | None], heads: dict[int, int]) -> int | None:
    seen = set()
    place: int | None = pid
    while place is not None and place not in seen:
        if place in heads:
            return heads[place]
        seen.add(place)
        place = parents.get(place)
    return None


def _recording_of(
    recording: Recording, rank: int, part: _Part, world: int, rank_of: dict[int, int]
) -> Recording:
    above = recording.header.launch
    if above is None:
        launch = Launch(rank, world, node=0)
    else:
        # Where one launcher runs on each node, its own rank is the node's number.
        launch = replace(
            above, rank=rank, world=None, node=above.node if above.node is not None else above.rank
        )
    end = recording.end
    if not end.is_missing:
        processes = tuple(p for p in end.processes if rank_of.get(p.pid) == rank)
        end = End(
            outcome=end.outcome,
            detail=end.detail,
            versions=end.versions,
            observer_share=end.observer_share,
            seconds=part.trees[-1].seconds if part.trees else 0.0,
            processes=processes,
            total_pss_bytes=_sum(p.pss_bytes for p in processes),
            total_reclaimable_bytes=_sum(p.reclaimable_bytes for p in processes),
        )
    header = replace(recording.header, launch=launch)
    return Recording(header, end=end, path=recording.path, trees=tuple(part.trees))


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
