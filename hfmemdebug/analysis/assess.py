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

from hfmemdebug.analysis.reserved import (
    RESERVED_SHARE,
    SETTLED,
    is_the_same,
    may_be_within,
    noise_allowance,
    within,
)
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

PAGE = 4096
# What is counted, each one at least a page of the kernel's or the process's memory.
THINGS = ("file_maps", "fds", "threads", "children")
# Things that pile up are counted: one in twenty slices is more than any library's own housekeeping.
THINGS_FLOOR = 0.05
_MAY_GROW = ("growing", "inconclusive")
# Above the control, for what exact counters see: glibc's smallest chunk is 32 bytes, and so is a float's block.
USER_FLOOR = 32.0
# Libraries lose crumbs of 40 and 100 bytes a slice in release after release without anybody's harm.
LIBRARY_FLOOR = LIBRARY_OVERHEAD
# Page counts move by whole arenas: in one epoch they must grow by more than this to be looked at.
PAGES_FLOOR_PER_EPOCH = 1024**2
# ... in so many epochs; in more of them, by as much in all,
PAGES_EPOCHS = BLOCKS_TO_CONVICT
# ... and where it is a part of that, more epochs are read.
LITTLE = 16
# ... and by more than this share of what one slice decodes to, which is what fragmentation moves by.
PAGES_FLOOR_PER_SLICE_BYTES = 0.1
# Scatter is told from so many epochs' growth on.
LEAST_RATES = MOST_BLOCKS

# Two epochs of one loop put as much into /dev/shm as each other; what other programs do there is not so even.
EVEN = STEADY
MOSTLY = STEADY

EXACT = ("python", "malloc", "arrow")
ALONE_IN_DEV_SHM = (
    "it grew unevenly, which other programs may do too; run it where nothing else uses /dev/shm"
)
# Between the ends of two epochs a clean run's counters move by up to three of Python's objects (a thread of
# some library that is awake just then) and 0.9 KB of malloc (pandas; elsewhere by less than 50 bytes, since
# settling fills the thread's cache): growth per epoch must be above this.
EPOCH_NOISE = {"python": 512.0, "malloc": 1024.0, "arrow": 0.0}


@dataclass(frozen=True)
class Component:
    """One owner's trend.

    Attributes:
        name: ``python``, ``malloc``, ``arrow``, ``copied`` (private copies of files' pages), ``other``
            (anonymous memory that no counter owns),
            ``shmem``, ``file_maps``, ``fds``, ``threads``, ``children``, ``children_anon``, ``dev_shm``.
        trend: What it does, in the unit of the counter (bytes, or things for the counts).
        series: What was judged.
        filled: It has filled memory that was asked for before, and can get no larger than that.
    """

    name: str
    trend: Trend
    series: Series
    filled: bool = False


@dataclass(frozen=True)
class Assessment:
    """One arm, judged.

    Attributes:
        recording: The arm.
        control: The arm that it was compared with, or None.
        components: The owners that could be read.
        unread: Owners that could not.
        epochs: Its samples by epoch.
    """

    recording: Recording
    control: Recording | None
    components: dict[str, Component]
    epochs: Epochs
    unread: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """The arm's name."""
        return self.recording.header.arm.name

    @property
    def growing(self) -> tuple[Component, ...]:
        """The owners that leak."""
        return tuple(c for c in self.components.values() if c.trend.grows and not self.below_library_floor(c))

    @property
    def leaks_in_children_alone(self) -> bool:
        """Whether what it leaks is in its child processes, whose number stays."""
        return {c.name for c in self.growing} == {"children_anon"}

    def below_library_floor(self, component: Component) -> bool:
        """Whether it grows by so little that, without a control, it may be a library's crumbs."""
        return (
            self.control is None
            and self.recording.header.arm.consumer
            and component.name in EXACT
            and component.trend.grows
            and component.trend.rate < LIBRARY_FLOOR
            and self.recording.header.min_leak is None
        )

    @property
    def open(self) -> tuple[Component, ...]:
        """The owners about which more work would decide."""
        return tuple(c for c in self.components.values() if c.trend.shape == "inconclusive")


def assess(
    recording: Recording, control: Recording | None = None, *, min_leak: float | None = None
) -> Assessment:
    """Judges one arm, against its control where there is one.

    Args:
        recording: The arm.
        control: The same rows in the same mode without the consumer.
        min_leak: The user's floor in bytes per slice, or None for the default.
    """
    epochs = Epochs.of(recording)
    against = Epochs.of(control) if control is not None else None
    # The user's code is looked at closely, also where no control tells it from the libraries' crumbs.
    floor = STEADY * USER_FLOOR if recording.header.arm.consumer else LIBRARY_FLOOR
    floor = min_leak if min_leak is not None else floor
    slices = max((len(epoch) for epoch in epochs.slices), default=1) or 1
    components: dict[str, Component] = {}
    unread: list[str] = []

    def judge(name: str, series: Series, floor: float) -> None:
        cost = (
            _most_in_an_epoch(against.series(name))
            if against is not None and name in (*EXACT, "shmem")
            else None
        )
        trend = find_trend(series, floor, start_cost=cost)
        if trend is None:
            unread.append(name)
        else:
            components[name] = Component(name, trend, series)

    def difference(name: str) -> Series:
        mine = epochs.series(name)
        return mine.minus(against.series(name)) if against is not None else mine

    for name in EXACT:
        series = _exact_bytes(epochs, against) if name == "python" else difference(name)
        judge(name, series, max(floor, EPOCH_NOISE[name] / slices))
    # What page counts move by does not add up: over more epochs less in each of them is as much in all.
    fewer = min(1.0, PAGES_EPOCHS / max(len(epochs.slices) - 1, 1)) if against is not None else 1.0
    moves = PAGES_FLOOR_PER_EPOCH * fewer / slices
    pages = max(moves, PAGES_FLOOR_PER_SLICE_BYTES * slice_bytes(recording) / slices)

    reserved, mapped = difference("reserved"), difference("mapped")
    judge("other", _unowned(epochs, against, "anon_swap"), max(floor, pages))
    if "other" in components:
        of_malloc, of_python = difference("malloc_free"), difference("python_free")
        components["other"] = _minus_free_memory(components["other"], of_malloc, of_python, max(floor, pages))
    judge("copied", difference("copied"), max(floor, pages))
    if "copied" in components and _has_a_bound(difference("copyable"), floor):
        components["copied"] = _bounded(components["copied"])
    # Workers are never settled: what they hold for the moment moves by as much as pages do.
    judge("children_anon", difference("children_anon"), max(floor, pages))
    judge("shmem", difference("shmem"), max(floor, moves))
    if against is not None:
        little = {
            "other": (max(floor, pages), reserved),
            "children_anon": (max(floor, pages), None),
            "shmem": (max(floor, moves), mapped),
        }
        for name, (least, sizes) in little.items():
            if name in components:
                components[name] = _needs_more_epochs(components[name], least / LITTLE, sizes)
    if "children_anon" in components:
        grown, least = difference("children_grown"), max(floor, pages)
        components["children_anon"] = _per_surviving_child(
            components["children_anon"], difference("children"), grown, least
        )
    if "malloc" not in unread and "other" in components:
        # Allocators whose counters are not read may have much reserved, and fill that with whatever is asked of them.
        components["other"] = _within(
            components["other"],
            (reserved, _unowned(epochs, against, "reserved")),
            # Below the control, by what has no pages yet.
            asked_for=-min((v for v in components["other"].series.settled if v is not None), default=0.0),
        )
    if "shmem" in components:
        components["shmem"] = _within(components["shmem"], (mapped, mapped.minus(reserved)))
    for name in THINGS:
        judge(name, difference(name), THINGS_FLOOR)
    if recording.header.arm.consumer:
        dev_shm = _in_dev_shm(epochs, components.get("shmem"))
        if dev_shm is not None:
            components["dev_shm"] = dev_shm
    return Assessment(recording, control, components, epochs, tuple(unread))


def _in_dev_shm(epochs: Epochs, mapping: Component | None) -> Component | None:
    """What an arm's own code puts into files in /dev/shm; None where that does not grow.

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
    return Component("dev_shm", trend, series)


def _minus_free_memory(other: Component, of_malloc: Series, of_python: Series, floor: float) -> Component:
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
    """Whether arenas may become more for ever, pinned by an object each: in a few epochs that looks like wandering."""
    trend = find_trend(free, floor)
    if trend is None or trend.shape == "growing":
        return True
    return trend.shape == "inconclusive" and trend.rate >= floor and len(epoch_rates(free)) < EPOCHS_IN_NOISE


def _per_surviving_child(component: Component, count: Series, grown: Series, floor: float) -> Component:
    """Memory of children, without what goes with each of them when it is replaced by another.

    Such a sawtooth, seen at the ends of epochs alone, may rise for as many epochs as one would look.

    Args:
        component: All that they have.
        count: How many there are.
        grown: What has come in each since it was first there.
        floor: Growth per slice below which nothing is called growth.
    """
    there = [v for v in count.settled[1:] if v is not None]
    half = len(there) // 2
    # One that is left behind now and then is no other one's successor.
    if half == 0 or mean(there[-half:]) - mean(there[:half]) >= 1 / 2:
        return component
    trend = find_trend(grown, floor) if component.trend.shape in _MAY_GROW else None
    if trend is None:
        return component
    return _needs_more_epochs(Component(component.name, trend, grown), floor / LITTLE, None)


def _needs_more_epochs(component: Component, floor: float, sizes: Series | None) -> Component:
    """Where page counts and, if these are known, mappings grew by a little in every epoch, more epochs tell."""
    if component.trend.shape != "stable":
        return component
    little = find_trend(component.series, floor)
    if little is None:
        return component
    # Of children nothing else is known, and two or three epochs say nothing of how evenly they come.
    unclear = sizes is None and len(epoch_rates(component.series)) < LEAST_RATES
    if not _may_grow(little, floor) and not (
        unclear and little.shape == "inconclusive" and little.rate >= floor
    ):
        return component
    if sizes is not None:
        few = RESERVED_SHARE * little.rate
        mappings = find_trend(sizes, few)
        if mappings is None or not _may_grow(mappings, few):
            return component
    needs = "it grew a little in every epoch, as page counts may"
    return replace(component, trend=replace(little, shape="inconclusive", needs=needs))


def _may_grow(trend: Trend, floor: float) -> bool:
    """Whether it grows, or would if there were more epochs in which it went on as it did."""
    return trend.grows or (trend.shape == "inconclusive" and trend.low >= floor)


def _most_in_an_epoch(series: Series) -> float | None:
    """The most that an arm grew by in an epoch after the first; None where that is not known."""
    settled = series.settled[1:]
    rises = [b - a for a, b in itertools.pairwise(settled) if a is not None and b is not None]
    return max(0.0, *rises) if rises else None


def _bounded(copied: Component) -> Component:
    """A page is copied once: what is mapped is the most that there can be."""
    if copied.trend.shape not in _MAY_GROW:
        return copied
    return replace(copied, trend=replace(copied.trend, shape="plateau", needs=None))


def _has_a_bound(copyable: Series, floor: float) -> bool:
    """Whether what can be copied stays as large as it is: no new mappings come."""
    trend = find_trend(copyable, max(floor, PAGE))
    return trend is not None and trend.shape in SETTLED


def _within(component: Component, sizes: Sequence[Series], *, asked_for: float = math.inf) -> Component:
    """An owner of resident memory by the size of the mappings that it may have grown in, as `within` takes them."""
    few = max(noise_allowance(component.trend.rate, PAGE), 1.0)
    trends = [find_trend(size, few) for size in sizes]
    found = within(component.trend, trends, asked_for=asked_for)
    return component if found is None else replace(component, trend=found, filled=not may_be_within(found))


def _mostly_grows(rates: Sequence[float]) -> bool:
    """Whether it grew in nearly every epoch: now and then somebody else may take files of theirs away."""
    return sum(rate > 0 for rate in rates) >= MOSTLY * len(rates)


def _is_even(rates: Sequence[float]) -> bool:
    """Whether nearly every epoch brought the same, whatever others put there or took away in the rest."""
    middle = median(rates)
    return sum(EVEN * middle <= rate <= middle / EVEN for rate in rates) >= MOSTLY * len(rates)


def slice_bytes(recording: Recording) -> float:
    """Bytes that one slice decodes to, as calibrated before the run."""
    return recording.header.workload.bytes_per_row * (recording.header.workload.step or 0)


def _exact_bytes(epochs: Epochs, against: Epochs | None) -> Series:
    """Python's small objects in bytes after each slice, from the count of blocks.

    Bytes are exact at the ends of epochs alone. Between them blocks are counted, and weighed by what a
    block held on average at the ends.
    """
    python, blocks = epochs.series("python"), epochs.series("blocks")
    if against is not None:
        python, blocks = python.minus(against.series("python")), blocks.minus(against.series("blocks"))
    weight = _block_bytes(python, blocks)
    return Series(
        tuple(tuple(None if b is None else b * weight for b in epoch) for epoch in blocks.epochs),
        python.settled if all(v is not None for v in python.settled) else tuple(
            None if b is None else b * weight for b in blocks.settled
        ),
        blocks.warmup,
    )  # fmt: skip


def _block_bytes(python: Series, blocks: Series) -> float:
    """Bytes of a block: of those that came, or, where none came, CPython's commonest small size."""
    if len(python.settled) > 1:
        first, last = python.settled[1], python.settled[-1]
        count_first, count_last = blocks.settled[1], blocks.settled[-1]
        if None not in (first, last, count_first, count_last):
            assert (
                first is not None and last is not None and count_first is not None and count_last is not None
            )
            if count_last - count_first >= 4 and last > first:
                return min(512.0, max(16.0, (last - first) / (count_last - count_first)))
    return 64.0


def _unowned(epochs: Epochs, against: Epochs | None, of: str) -> Series:
    """What a size, such as that of anonymous memory, is beyond what the exact counters have in use."""

    def unowned(arm: Epochs) -> Series:
        owned = [arm.series(name) for name in (*EXACT, "copied") if _was_read(arm.series(name))]
        rest = arm.series(of)
        for series in owned:
            rest = rest.minus(series)
        # Bytes of Python's objects are known at the ends of epochs alone, so slices are not comparable.
        return Series((), rest.settled, 0) if rest.settled else rest

    rest = unowned(epochs)
    if against is not None:
        rest = rest.minus(unowned(against))
    whole = epochs.series(of)
    return Series(tuple(tuple(None for _ in epoch) for epoch in whole.epochs), rest.settled, whole.warmup)


def _was_read(series: Series) -> bool:
    return all(value is not None for value in series.settled)
