from __future__ import annotations

from typing import Any

import pytest

from hfmemdebug.analysis.breakdown import break_down
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import ArmInfo, Header, Workload
from hfmemdebug.recording.sample import ArmSample

MB = 1 << 20


def settled(step: str, epoch: int, **values: Any) -> ArmSample:
    return ArmSample(kind="settle", step=step, epoch=epoch, slice=0, seconds=0.0, **values)


def recording(*samples: ArmSample) -> Recording:
    return Recording(
        Header("diagnose", ArmInfo("memory-mapped", "mmap", consumer=False), Workload()), samples
    )


START = {
    "anon": 100 * MB,
    "file": 50 * MB,
    "shmem": 0,
    "swap": 0,
    "python": 20 * MB,
    "malloc": 30 * MB,
    "arrow": 0,
}


def grown(step: str, epoch: int = 1, **more: int) -> ArmSample:
    return settled(step, epoch, **{name: value + more.get(name, 0) for name, value in START.items()},
                   dataset_resident=more.get("dataset_resident"))  # fmt: skip


def test_every_byte_has_an_owner() -> None:
    found = break_down(
        recording(
            settled("start", 0, **START, dataset_resident=0),
            grown("before", anon=40 * MB, file=300 * MB, shmem=2 * MB, dataset_resident=290 * MB),
            grown("collect", anon=38 * MB, file=300 * MB),
            grown("trim", anon=30 * MB, file=300 * MB, python=10 * MB, malloc=15 * MB, arrow=4 * MB),
        )
    )
    assert found is not None
    assert found.owners == {
        "dataset_pages": 290 * MB,
        "other_file_pages": 10 * MB,
        "shared": 2 * MB,
        "python": 10 * MB,
        "malloc": 15 * MB,
        "arrow": 4 * MB,
        "allocator_retained": 10 * MB,
        "unattributed": 1 * MB,
    }
    assert sum(found.owners.values()) == found.growth == 342 * MB
    assert found.explained == pytest.approx(1 - 1 / 342, abs=1e-4)


def test_the_last_whole_settling_counts() -> None:
    found = break_down(
        recording(
            settled("start", 0, **START),
            grown("before", 1, anon=100 * MB),
            grown("trim", 1, anon=100 * MB),
            grown("before", 2, anon=20 * MB, malloc=20 * MB),
            grown("trim", 2, anon=20 * MB, malloc=20 * MB),
            grown("before", 3, anon=500 * MB),
        )
    )
    assert found is not None
    assert found.growth == 20 * MB
    assert found.explained == 1.0


def test_of_little_growth_no_share_is_given() -> None:
    found = break_down(
        recording(settled("start", 0, **START), grown("before", anon=MB), grown("trim", anon=MB))
    )
    assert found is not None
    assert found.explained is None
    assert found.owners["unattributed"] == MB


def test_swapped_pages_have_grown_too() -> None:
    found = break_down(
        recording(
            settled("start", 0, **START),
            grown("before", swap=64 * MB),
            grown("trim", swap=64 * MB, malloc=64 * MB),
        )
    )
    assert found is not None
    assert (found.growth, found.owners["malloc"], found.explained) == (64 * MB, 64 * MB, 1.0)


@pytest.mark.parametrize(
    "samples",
    [
        (),
        (settled("start", 0, **START),),
        (settled("start", 0, **START), grown("before", anon=MB)),
        (settled("start", 0, rss=MB), settled("before", 1, rss=MB), settled("trim", 1, rss=MB)),
    ],
    ids=["nothing", "no epoch", "cut", "no split of RSS"],
)
def test_what_cannot_be_broken_down_is_not(samples: tuple[ArmSample, ...]) -> None:
    assert break_down(recording(*samples)) is None


def test_private_copies_of_file_pages_are_owned() -> None:
    found = break_down(
        recording(
            settled("start", 0, **START, copied=5 * MB),
            settled("before", 1, **{**START, "anon": 130 * MB}, copied=33 * MB),
            settled("trim", 1, **{**START, "anon": 130 * MB}),
        )
    )
    assert found is not None
    assert (found.owners["copied"], found.owners["unattributed"]) == (28 * MB, 2 * MB)


def test_what_was_asked_for_and_never_touched_has_no_pages_and_is_explained() -> None:
    after = grown("trim", anon=30 * MB, malloc=80 * MB)
    found = break_down(recording(settled("start", 0, **START), grown("before", anon=30 * MB), after))
    assert found is not None
    assert (found.owners["reserved_untouched"], found.owners["unattributed"], found.explained) == (
        -50 * MB,
        0,
        1.0,
    )
    assert sum(found.owners.values()) == found.growth


@pytest.mark.parametrize("whose", ["malloc_free", "python_free"])
@pytest.mark.parametrize(("free", "between", "rest"), [(6, 6, 4), (25, 10, 0)])
def test_holes_in_a_heap_are_its_own(whose: str, free: int, between: int, rest: int) -> None:
    """Pages that were given back count as free too: no more is explained than is there."""
    start = {**START, whose: 1 * MB}
    after = settled("trim", 1, **{**START, "anon": 130 * MB, "malloc": 50 * MB, whose: (1 + free) * MB})
    found = break_down(recording(settled("start", 0, **start), grown("before", anon=30 * MB), after))
    assert found is not None
    assert (found.owners["fragmentation"], found.owners["unattributed"]) == (between * MB, rest * MB)
    assert sum(found.owners.values()) == found.growth
