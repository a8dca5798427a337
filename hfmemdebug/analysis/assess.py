"""The ledger of one arm: which owner of memory grew, by how much, and in which shape.

Owners do not overlap: what CPython's small objects, malloc and Arrow's pools have in use is exact; what
anonymous memory grew beyond their sum nobody counts, and page counts decide about it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import mean, median

from hfmemdebug.analysis.counters import COMMON_BLOCK, EXACT, PAGE, THINGS, CounterTrend, block_bytes
from hfmemdebug.analysis.reserved import RESERVED_SHARE, is_the_same, noise_allowance, within
from hfmemdebug.analysis.series import Epochs, Series
from hfmemdebug.analysis.trend import (
    BLOCKS_TO_CONVICT,
    EPOCHS_IN_NOISE,
    LIBRARY_OVERHEAD,
    MOST_BLOCKS,
    STEADY,
    Trend,
    epoch_rates,
    find_trend,
)
from hfmemdebug.recording.file import Recording

# Things that pile up are counted: one in twenty slices is more than any library's own housekeeping.
THINGS_FLOOR = 0.05
# Above the control, for what exact counters see: a leak of 32 bytes, glibc's smallest chunk and a float's block, less
# the tenth that the control's drift may take away (lru_cache_bounded: a table that is made anew moves by 28 bytes).
USER_FLOOR = 28.8
# Page counts move by whole arenas: in one epoch they must grow by more than this to be looked at.
PAGES_FLOOR_PER_EPOCH = 1024**2
# ... and where it is a part of that, more epochs are read.
LITTLE = 16
# ... and by more than this share of what one slice decodes to, which is what fragmentation moves by.
PAGES_FLOOR_PER_SLICE_BYTES = 0.1

# Two epochs of one loop put as much into /dev/shm as each other; what other programs do there is not so even.

ALONE_IN_DEV_SHM = (
    "it grew unevenly, which other programs may do too; run it where nothing else uses /dev/shm"
)
# Between the ends of two epochs a clean run's counters move by up to three of Python's objects (a thread of
# some library that is awake just then) and 0.9 KB of malloc (pandas; elsewhere by less than 50 bytes, since
# settling fills the thread's cache): growth per epoch must be above this.
EPOCH_NOISE = {"python": 512.0, "malloc": 1024.0, "arrow": 0.0}


@dataclass(frozen=True)
class Assessment:
    """One arm, judged.

    Attributes:
        recording: The arm.
        control: The arm that it was compared with, or None.
        counters: The owners that could be read.
        unread: Owners that could not.
        epochs: Its samples by epoch.
    """

    recording: Recording
    control: Recording | None
    counters: dict[str, CounterTrend]
    epochs: Epochs
    unread: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """The arm's name."""
        return self.recording.header.arm.name

    @property
    def growing(self) -> tuple[CounterTrend, ...]:
        """The owners that leak."""
        return tuple(c for c in self.counters.values() if c.trend.grows and not self.below_library_floor(c))

    @property
    def leaks_in_children_alone(self) -> bool:
        """True where what it leaks is in its child processes, whose number stays."""
        return {c.name for c in self.growing} == {"children_anon"}

    def below_library_floor(self, counter: CounterTrend) -> bool:
        """True where it grows by so little that, without a control, it may be a library's crumbs."""
        return (
            self.control is None
            and self.recording.header.arm.consumer
            and counter.name in EXACT
            and counter.trend.grows
            and counter.trend.rate < LIBRARY_OVERHEAD
            and self.recording.header.min_leak is None
        )

    @property
    def open(self) -> tuple[CounterTrend, ...]:
        """The owners about which more work would decide."""
        return tuple(c for c in self.counters.values() if c.trend.shape == "inconclusive")


def assess(recording: Recording, control: Recording | None = None) -> Assessment:
    """Judges one arm, against its control where there is one.

    Args:
        recording: The arm; its header has the user's floor in bytes per slice, or None for the default.
        control: The same rows in the same mode without the consumer.
    """
    # The user's code is looked at closely, also where no control tells it from the libraries' overhead.
    floor = USER_FLOOR if recording.header.arm.consumer else LIBRARY_OVERHEAD
    asked = recording.header.min_leak
    floor = asked if asked is not None else floor
    arm = _Arm(Epochs.of(recording), Epochs.of(control) if control is not None else None)
    slices = max((len(epoch) for epoch in arm.epochs.slices), default=1) or 1
    # What page counts move by does not add up: over more epochs less in each of them is as much in all.
    later = max(len(arm.epochs.slices) - 1, 1)
    fewer = min(1.0, BLOCKS_TO_CONVICT / later) if control is not None else 1.0
    moves = max(floor, PAGES_FLOOR_PER_EPOCH * fewer / slices)
    pages = max(moves, PAGES_FLOOR_PER_SLICE_BYTES * slice_bytes(recording) / slices)
    found = {
        name: arm.judge(
            name, max(floor, EPOCH_NOISE[name] / slices), arm.exact_bytes() if name == "python" else None
        )
        for name in EXACT
    }
    found["other"] = _judge_other(arm, pages, malloc_is_read=found["malloc"] is not None)
    found["copied"] = _judge_copied(arm, floor, pages)
    found["children_anon"] = _judge_children(arm, pages)
    found["shmem"] = _judge_shmem(arm, moves)
    found.update((name, arm.judge(name, THINGS_FLOOR)) for name in THINGS)
    counters = {name: counter for name, counter in found.items() if counter is not None}
    unread = tuple(name for name, counter in found.items() if counter is None)
    if (
        recording.header.arm.consumer
        and (files := _in_dev_shm(arm.epochs, counters.get("shmem"))) is not None
    ):
        counters["dev_shm"] = files
    return Assessment(recording, control, counters, arm.epochs, unread)


@dataclass(frozen=True)
class _Arm:
    """An arm's samples and those of its control, where there is one."""

    epochs: Epochs
    control: Epochs | None

    def difference(self, name: str) -> Series:
        """A field of the samples, less what the control has of it."""
        mine = self.epochs.series(name)
        return mine.minus(self.control.series(name)) if self.control is not None else mine

    def judge(self, name: str, floor: float, series: Series | None = None) -> CounterTrend | None:
        """Decides what a counter did; None where it could not be read.

        Args:
            name: The counter.
            floor: Growth per slice below which nothing is called growth.
            series: Its values, where they are not the field of that name.
        """
        series = self.difference(name) if series is None else series
        known = self.control is not None and name in (*EXACT, "shmem")
        cost = _most_in_an_epoch(self.control.series(name)) if known and self.control is not None else None
        trend = find_trend(series, floor, start_cost=cost)
        return None if trend is None else CounterTrend(name, trend, series)

    def unowned(self, of: str) -> Series:
        """Returns what a size, such as that of anonymous memory, is beyond what the exact counters have in use."""
        rest = _unowned(self.epochs, of)
        if self.control is not None:
            rest = rest.minus(_unowned(self.control, of))
        whole = self.epochs.series(of)
        return Series(tuple(tuple(None for _ in epoch) for epoch in whole.epochs), rest.settled, whole.warmup)

    def exact_bytes(self) -> Series:
        """Python's small objects in bytes after each slice, from the count of blocks.

        Bytes are exact at the ends of epochs alone. Between them blocks are counted, and weighed by what a
        block held on average at the ends.
        """
        python, blocks = self.difference("python"), self.difference("blocks")
        weighed = blocks.scaled(_block_bytes(python, blocks))
        known = all(v is not None for v in python.settled)
        return replace(weighed, settled=python.settled) if known else weighed


def _judge_other(arm: _Arm, floor: float, *, malloc_is_read: bool) -> CounterTrend | None:
    """Judges anonymous memory that no counter owns."""
    counter = arm.judge("other", floor, arm.unowned("anon_swap"))
    if counter is None:
        return None
    counter = _minus_free_memory(counter, arm.difference("malloc_free"), arm.difference("python_free"), floor)
    reserved = arm.difference("reserved")
    if arm.control is not None:
        counter = _needs_more_epochs(counter, floor / LITTLE, reserved)
    if not malloc_is_read:
        # Allocators whose counters are not read may have much reserved, and fill that with whatever is asked of them.
        return counter
    # Below the control, by what has no pages yet.
    asked_for = -min((v for v in counter.series.settled if v is not None), default=0.0)
    return _within(counter, (reserved, arm.unowned("reserved")), asked_for=asked_for)


def _judge_copied(arm: _Arm, floor: float, pages: float) -> CounterTrend | None:
    """Judges private copies of files' pages: a page is copied once, so what is mapped is the most that there can be."""
    counter = arm.judge("copied", pages)
    if counter is None or not counter.trend.may_grow:
        return counter
    mappings = find_trend(arm.difference("copyable"), max(floor, PAGE))
    if mappings is None or mappings.may_grow:
        return counter
    return replace(counter, trend=replace(counter.trend, shape="plateau", needs=None))


def _judge_children(arm: _Arm, floor: float) -> CounterTrend | None:
    """Judges memory of child processes; they are never settled: what they hold for the moment moves as pages do."""
    counter = arm.judge("children_anon", floor)
    if counter is None:
        return None
    if arm.control is not None:
        counter = _needs_more_epochs(counter, floor / LITTLE, None)
    return _per_surviving_child(counter, arm.difference("children"), arm.difference("children_grown"), floor)


def _judge_shmem(arm: _Arm, floor: float) -> CounterTrend | None:
    """Judges shared memory that is mapped."""
    counter = arm.judge("shmem", floor)
    if counter is None:
        return None
    mapped = arm.difference("mapped")
    if arm.control is not None:
        counter = _needs_more_epochs(counter, floor / LITTLE, mapped)
    return _within(counter, (mapped, mapped.minus(arm.difference("reserved"))))


def _in_dev_shm(epochs: Epochs, mapping: CounterTrend | None) -> CounterTrend | None:
    """Returns what an arm's own code puts into files in /dev/shm; None where that does not grow.

    Other programs of the same user may put files there, and the control sees ours too once they are closed:
    nothing is taken away, and only what grows as evenly as a loop is called one's own.

    Args:
        epochs: The arm's.
        mapping: Shared memory that it maps, as judged: the same bytes, perhaps.
    """
    series = epochs.series("dev_shm")
    trend, rates = find_trend(series, PAGE), epoch_rates(series)
    if trend is None or not rates or not _mostly_grows(rates):
        return None
    if _is_even(rates) and len(rates) >= BLOCKS_TO_CONVICT:
        trend = replace(trend, shape="growing", rate=median(rates), needs=None)
    else:
        trend = replace(trend, shape="inconclusive", needs=ALONE_IN_DEV_SHM)
    if mapping is not None and mapping.filled and is_the_same(trend.rate, mapping.trend.rate):
        trend = replace(trend, shape="plateau", needs=None)
    return CounterTrend("dev_shm", trend, series)


def _minus_free_memory(
    other: CounterTrend, of_malloc: Series, of_python: Series, floor: float
) -> CounterTrend:
    """Anonymous memory without what allocators have free, where that decides that nothing of it grows.

    Free chunks between blocks in use come and go with the threads that had them, and arenas with the last object in
    them: how many there are wanders by some from epoch to epoch.
    """
    if other.trend.shape != "inconclusive":
        return other
    for each in (of_malloc, of_python, Series.total([of_malloc, of_python])):
        trend = find_trend(other.series.minus(each), floor)
        if trend is None or trend.shape != "stable":
            continue
        if each is of_malloc or not _may_go_on(of_python, floor):
            return replace(other, trend=trend)
    return other


def _may_go_on(free: Series, floor: float) -> bool:
    """True where arenas may become more for ever, pinned by an object each: few epochs of that look like wandering."""
    trend = find_trend(free, floor)
    if trend is None or trend.shape == "growing":
        return True
    return trend.shape == "inconclusive" and trend.rate >= floor and len(epoch_rates(free)) < EPOCHS_IN_NOISE


def _per_surviving_child(counter: CounterTrend, count: Series, grown: Series, floor: float) -> CounterTrend:
    """Memory of children, without what goes with each of them when it is replaced by another.

    Such a sawtooth, seen at the ends of epochs alone, may rise for as many epochs as one would look.

    Args:
        counter: All that they have.
        count: How many there are.
        grown: What has come in each since it was first there.
        floor: Growth per slice below which nothing is called growth.
    """
    there = [v for v in count.settled[1:] if v is not None]
    half = len(there) // 2
    # One that is left behind now and then is no other one's successor.
    if half == 0 or mean(there[-half:]) - mean(there[:half]) >= 1 / 2:
        return counter
    trend = find_trend(grown, floor) if counter.trend.may_grow else None
    if trend is None:
        return counter
    return _needs_more_epochs(CounterTrend(counter.name, trend, grown), floor / LITTLE, None)


def _needs_more_epochs(counter: CounterTrend, floor: float, sizes: Series | None) -> CounterTrend:
    """Where page counts and, if these are known, mappings grew by a little in every epoch, more epochs tell."""
    if counter.trend.shape != "stable":
        return counter
    little = find_trend(counter.series, floor)
    if little is None:
        return counter
    # Of children nothing else is known, and two or three epochs say nothing of how evenly they come.
    unclear = sizes is None and len(epoch_rates(counter.series)) < MOST_BLOCKS
    if not _may_grow(little, floor) and not (
        unclear and little.shape == "inconclusive" and little.rate >= floor
    ):
        return counter
    if sizes is not None:
        few = RESERVED_SHARE * little.rate
        mappings = find_trend(sizes, few)
        if mappings is None or not _may_grow(mappings, few):
            return counter
    needs = "it grew a little in every epoch, as page counts may"
    return replace(counter, trend=replace(little, shape="inconclusive", needs=needs))


def _may_grow(trend: Trend, floor: float) -> bool:
    """True where it grows, or would if there were more epochs in which it went on as it did."""
    return trend.grows or (trend.shape == "inconclusive" and trend.low >= floor)


def _most_in_an_epoch(series: Series) -> float | None:
    """The most that an arm grew by in an epoch after the first; None where that is not known."""
    settled = series.settled[1:]
    rises = [b - a for a, b in itertools.pairwise(settled) if a is not None and b is not None]
    return max(0.0, *rises) if rises else None


def _within(counter: CounterTrend, sizes: Sequence[Series], *, asked_for: float = math.inf) -> CounterTrend:
    """An owner of resident memory by the size of the mappings that it may have grown in, as `within` takes them."""
    few = max(noise_allowance(counter.trend.rate, PAGE), 1.0)
    return within(counter, [find_trend(size, few) for size in sizes], asked_for=asked_for)


def _mostly_grows(rates: Sequence[float]) -> bool:
    """True where it grew in nearly every epoch: now and then another program may remove files of its own."""
    return sum(rate > 0 for rate in rates) >= STEADY * len(rates)


def _is_even(rates: Sequence[float]) -> bool:
    """True where nearly every epoch brought the same, whatever others put there or took away in the rest."""
    middle = median(rates)
    return sum(STEADY * middle <= rate <= middle / STEADY for rate in rates) >= STEADY * len(rates)


def slice_bytes(recording: Recording) -> float:
    """Bytes that one slice decodes to, as calibrated before the run."""
    return recording.header.workload.bytes_per_row * (recording.header.workload.step or 0)


def _block_bytes(python: Series, blocks: Series) -> float:
    """Bytes of a block: of those that came, or, where none came, CPython's commonest small size."""
    held = [python.settled[i] for i in (1, -1)] if len(python.settled) > 1 else []
    count = [blocks.settled[i] for i in (1, -1)] if len(python.settled) > 1 else []
    if (grown := _rise(held)) and (more := _rise(count)) and more >= 4 and grown > 0:
        return block_bytes(more, grown)
    return COMMON_BLOCK


def _rise(ends: Sequence[float | None]) -> float | None:
    first, last = ends if len(ends) == 2 else (None, None)
    return None if first is None or last is None else last - first


def _unowned(arm: Epochs, of: str) -> Series:
    rest = arm.series(of)
    for series in (arm.series(name) for name in (*EXACT, "copied")):
        if all(value is not None for value in series.settled):
            rest = rest.minus(series)
    # Bytes of Python's objects are known at the ends of epochs alone, so slices are not comparable.
    return Series((), rest.settled, 0) if rest.settled else rest
