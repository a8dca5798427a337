"""Ranks that one launcher has started on a machine, watched as one tree: each rank's own part of the recording."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hfmemdebug.recording.end import End
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import Launch
from hfmemdebug.recording.sample import Sample

_ROLE = re.compile(r"rank (\d+)")


def ranks_within(recording: Recording) -> list[Recording]:
    """The recordings of the ranks below a launcher, by rank; none where it is of no launcher.

    How a single rank ended nobody has seen: each is given the launcher's own end, and its own time.
    """
    heads: dict[int, int] = {}
    parents: dict[int, int | None] = {}
    for sample in recording.samples:
        if sample.kind == "process" and sample.pid is not None:
            parents.setdefault(sample.pid, sample.ppid)
            found = _ROLE.fullmatch(sample.role or "")
            if found and sample.ppid is not None:
                heads.setdefault(sample.pid, int(found[1]))
    if len(set(heads.values())) < 2:
        return []
    rank_of = {pid: rank for pid in parents if (rank := _rank_above(pid, parents, heads)) is not None}
    parts: dict[int, _Part] = {rank: _Part() for rank in sorted(set(heads.values()))}
    waiting: list[Sample] = []
    for sample in recording.samples:
        if sample.kind == "process":
            waiting.append(sample)
        elif sample.kind == "tree":
            for rank, part in parts.items():
                part.look([s for s in waiting if rank_of.get(s.pid or 0) == rank], sample)
            waiting = []
    return [_recording_of(recording, rank, part, len(parts), rank_of) for rank, part in parts.items()]


class _Part:
    """One rank's looks."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._rows: dict[int, int] = {}
        # By PID, the anonymous part of its PSS as it was read last, and what was anonymous then.
        self._read: dict[int | None, tuple[int, int]] = {}

    def look(self, processes: Sequence[Sample], tree: Sample) -> None:
        """Adds a look: the rank's processes, then their sum."""
        if not processes:
            return
        # The rank's own process has its parent elsewhere, and is the root of this part.
        known = {p.pid for p in processes}
        own = [replace(p, ppid=p.ppid if p.ppid in known else None) for p in processes]
        own.sort(key=lambda p: p.ppid is not None)
        self._rows.update({p.pid: p.rows for p in own if p.pid is not None and p.rows is not None})
        self.samples += own
        self.samples.append(
            Sample(
                kind="tree",
                epoch=1,
                slice=tree.slice,
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
            )
        )

    def _anonymous(self, process: Sample) -> int | None:
        """What it has of the anonymous memory by now: PSS is read seldom, and what came since is its own."""
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
        processes = tuple(p for p in end.processes if rank_of.get(p.get("pid", 0)) == rank)
        end = End(
            outcome=end.outcome,
            detail=end.detail,
            versions=end.versions,
            observer_share=end.observer_share,
            seconds=part.samples[-1].seconds if part.samples else 0.0,
            processes=processes,
            total_pss_bytes=_sum(p.get("pss_bytes") for p in processes),
            total_reclaimable_bytes=_sum(p.get("reclaimable_bytes") for p in processes),
        )
    return Recording(replace(recording.header, launch=launch), tuple(part.samples), end, recording.path)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
