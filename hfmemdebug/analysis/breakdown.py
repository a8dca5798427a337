"""Breaks down the growth of RSS: every byte by which an arm grew, by owner, and what is unattributed.

From the start, settled, to the end of the last epoch, before anything was settled again: what a dashboard
shows of the run. What the allocators kept free is what they gave back when they were asked afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hfmemdebug.analysis.counters import PAGES_FLOOR
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import ArmSample

# Page counts lag behind by some hundred kilobytes, and settling leaves a megabyte more or less in the
# heap: of growth below this, that would be a share of its own.
RESOLUTION = PAGES_FLOOR


_ANONYMOUS = ("python", "malloc", "arrow", "copied", "allocator_retained")


@dataclass(frozen=True)
class RssBreakdown:
    """An arm's growth of RSS by owner.

    Attributes:
        owners: Bytes by owner, in the order in which they are shown: ``dataset_pages`` (of its mapped files),
            ``other_file_pages`` (the libraries' code, other mappings), ``shared``, ``python`` (objects in
            use), ``malloc`` (in use), ``arrow`` (in use), ``copied`` (private copies of files' pages),
            ``allocator_retained`` (cyclic garbage, and what malloc and Arrow's pools gave back when they were asked);
            where there is any, ``fragmentation`` (what malloc and CPython hold free between blocks in use, and
            cannot give back) and ``reserved_untouched`` (below 0: in use, and never written to, so that it has no
            pages yet); ``unattributed``.
        growth: Growth of RSS and swap, which the owners add up to.
        explained: Share of it whose owner is known; None where too little grew to tell.
    """

    owners: Mapping[str, int]
    growth: int
    explained: float | None


def break_down(recording: Recording) -> RssBreakdown | None:
    """Breaks down an arm's growth; None where it ended before the end of an epoch, or cannot be read here."""
    start = next((s for s in recording.samples if s.step == "start"), None)
    settling = _last_settling(recording.samples)
    end, trimmed = settling.get("before"), settling.get("trim")
    if start is None or end is None or trimmed is None or start.anon is None:
        return None
    owners: dict[str, int] = {}
    pages = _grown(start, end, "file") or 0
    of_dataset = _grown(start, end, "dataset_resident")
    if of_dataset is not None:
        owners["dataset_pages"] = of_dataset
    owners["other_file_pages"] = pages - (of_dataset or 0)
    owners["shared"] = _grown(start, end, "shmem") or 0
    for name in ("python", "malloc", "arrow"):
        # In use when all is settled: before that, garbage is in the counters.
        grown = _grown(start, trimmed, name)
        if grown is not None:
            owners[name] = grown
    copied = _grown(start, end, "copied")
    if copied is not None:
        owners["copied"] = copied
    anonymous = _private(end) - _private(start)
    owners["allocator_retained"] = _private(end) - _private(trimmed)
    rest = anonymous - sum(owners.get(name, 0) for name in _ANONYMOUS)
    free = sum(max(0, _grown(start, trimmed, name) or 0) for name in ("malloc_free", "python_free"))
    between = min(rest, free)
    if between > 0:
        owners["fragmentation"] = between
    if rest < 0:
        owners["reserved_untouched"] = rest
    owners["unattributed"] = max(0, rest - max(0, between))
    growth = anonymous + pages + owners["shared"]
    explained = 1 - min(owners["unattributed"] / growth, 1.0) if growth >= RESOLUTION else None
    return RssBreakdown(owners, growth, round(explained, 4) if explained is not None else None)


def _last_settling(samples: Sequence[ArmSample]) -> dict[str, ArmSample]:
    """The last complete settling's readings, by step."""
    found: dict[str, ArmSample] = {}
    for sample in reversed(samples):
        if sample.kind == "settle" and sample.step is not None and sample.step != "start":
            found[sample.step] = sample
            if sample.step == "before":
                if "trim" in found:
                    return found
                found = {}
    return {}


def _private(sample: ArmSample) -> int:
    return (sample.anon or 0) + (sample.swap or 0)


def _grown(start: ArmSample, end: ArmSample, name: str) -> int | None:
    before, after = getattr(start, name), getattr(end, name)
    return None if before is None or after is None else after - before
