"""From recordings to a verdict, on recordings that are scripted: nothing is measured here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from leaks import document, held

from hfmemdebug.analysis.confirm import what_to_repeat
from hfmemdebug.analysis.verdict import assess_all, judge, what_is_open
from hfmemdebug.decode import decode
from hfmemdebug.errors import InputError
from hfmemdebug.leak import Bound, Holder, Line, Site
from hfmemdebug.recording.end import MISSING_END, End
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import ArmInfo, Header, LoadedFile, LoadReport, Workload
from hfmemdebug.recording.sample import ArmSample
from hfmemdebug.result import Result

MB = 1024 * 1024
SLICES = 20
STEP = 100


def record(
    mode: str = "mmap",
    *,
    consumer: bool = False,
    epochs: int = 4,
    malloc: Callable[[int], float] = lambda n: 0.0,
    python: Callable[[int], float] = lambda n: 0.0,
    arrow: Callable[[int], float] = lambda n: 0.0,
    anon: Callable[[int], float] = lambda n: 0.0,
    reserved: Callable[[int], float] | None = None,
    children_anon: Callable[[int], float] | None = None,
    children_grown: Callable[[int], float] | None = None,
    children: Callable[[int], float] = lambda n: 0.0,
    python_free: Callable[[int], float] = lambda n: 0.0,
    fds: Callable[[int], float] = lambda n: 0.0,
    dev_shm: Callable[[int], float] = lambda n: 0.0,
    file_per_epoch: float = 0.0,
    end: dict[str, Any] | None = None,
    killed: bool = False,
    filesystem: str = "ext4",
    memory: int | None = None,
) -> Recording:
    """An arm in which each counter is a function of the slices read so far."""
    name = {"mmap": "memory-mapped"}.get(mode, mode) + (" + consumer" if consumer else "")
    tmpfs = filesystem == "tmpfs"

    def read(n: int, pages: float) -> dict[str, Any]:
        kept = malloc(n) + python(n) + arrow(n)
        values = {
            "anon": 100 * MB + kept + anon(n),
            "file": 60 * MB + (0 if tmpfs else pages),
            "shmem": pages if tmpfs else 0,
            "swap": 0,
            "arrow": arrow(n),
            "malloc": 30 * MB + malloc(n),
            "blocks": 450_000 + python(n) / 64,
        }
        if reserved is not None:
            values["reserved"] = 900 * MB + reserved(n)
        values["rss"] = values["anon"] + values["file"] + values["shmem"]
        return {key: int(value) for key, value in values.items()}

    def settled(n: int) -> dict[str, Any]:
        return {
            "python": int(40 * MB + python(n)),
            "python_free": int(python_free(n)),
            "fds": int(10 + fds(n)),
            "dev_shm": int(dev_shm(n)),
            "file_maps": 200,
            "threads": 4,
            "children": int(children(n)),
            **({} if children_anon is None else {"children_anon": int(children_anon(n))}),
            **({} if children_grown is None else {"children_grown": int(children_grown(n))}),
        }

    samples = [ArmSample("settle", 0, 0, 0.0, step="start", **read(0, 0), **settled(0))]
    n = 0
    for epoch in range(1, epochs + 1):
        for index in range(SLICES):
            n += 1
            pages = file_per_epoch * (index + 1) / SLICES
            samples.append(
                ArmSample(
                    "slice",
                    epoch,
                    index,
                    0.1 * n,
                    warmup=epoch == 1 and index < 4,
                    rows=STEP,
                    **read(n, pages),
                )
            )
        samples.append(
            ArmSample("settle", epoch, SLICES, 0.1 * n, step="trim", **read(n, file_per_epoch), **settled(n))
        )
        samples.append(ArmSample("settle", epoch, SLICES, 0.1 * n, step="drop_pages", **read(n, 0)))
    header = Header(
        "diagnose",
        ArmInfo(name, mode, consumer),
        Workload(dataset="ds", step=STEP, count=SLICES, warmup=4, bytes_per_row=1000.0),
        loaded=LoadReport("Arrow", "ds", rows=2000, files=(LoadedFile("/d", 100 * MB, filesystem, tmpfs),)),
        memory_bytes=memory,
    )
    ended = {"outcome": "completed", "loop_seconds": 0.1 * n, "observer_seconds": 0.001} | (end or {})
    return Recording(header, samples, MISSING_END if killed else decode(End, ended))


PROOF = {"reclaim": {"freed_bytes": 90 * MB, "why_not": None, "asked_bytes": 90 * MB, "same_data": True}}


def leak(rate: float) -> Callable[[int], float]:
    return lambda n: rate * n


def test_mapped_pages_are_no_leak() -> None:
    result = judge([record(file_per_epoch=90 * MB, end=PROOF), record("in-memory")])
    assert (result.verdict, result.cause, result.origin) == ("no-leak", "mmap-file-pages", None)
    assert result.rate_bytes_per_iteration == 0
    assert result.findings[0].reclaimable is True
    assert "took them back" in result.summary


def test_the_order_of_the_arms_does_not_matter() -> None:
    arms = [record(file_per_epoch=90 * MB), record("in-memory")]
    assert judge(arms) == judge(arms[::-1])


def test_on_tmpfs_the_pages_are_no_leak_and_cannot_be_taken_back() -> None:
    result = judge([record(file_per_epoch=90 * MB, filesystem="tmpfs"), record("in-memory")])
    assert (result.verdict, result.cause) == ("no-leak", "mmap-file-pages")
    assert result.findings[0].reclaimable is False
    assert any("tmpfs" in line for line in result.warnings)


def test_nothing_grew() -> None:
    result = judge([record("in-memory")])
    assert (result.verdict, result.cause, result.findings) == ("no-leak", None, ())


@pytest.mark.parametrize(
    ("counter", "cause"),
    [("python", "python-objects"), ("malloc", "native-heap"), ("arrow", "arrow-pool")],
)
def test_the_users_leak(counter: str, cause: str) -> None:
    guilty = record(consumer=True, **{counter: leak(5000.0)})
    result = judge([record(), guilty, record("in-memory"), record("in-memory", consumer=True)])
    assert (result.verdict, result.cause, result.origin) == ("leak", cause, "user-code")
    assert result.rate_bytes_per_iteration == pytest.approx(5000, rel=0.01)
    assert result.rate_bytes_per_row == pytest.approx(50, rel=0.01)
    assert result.rate_bytes_per_second == pytest.approx(50_000, rel=0.01)
    assert [f.role for f in result.findings] == ["leak"]


def test_one_object_a_slice_against_the_control() -> None:
    result = judge([record(), record(consumer=True, python=leak(64.0))])
    assert (result.verdict, result.cause) == ("leak", "python-objects")


def test_what_large_objects_hold_is_theirs() -> None:
    """Objects above 512 bytes come from malloc: where both grow, it is one leak of Python objects."""
    result = judge([record(), record(consumer=True, python=leak(640.0), malloc=leak(90_000.0))])
    assert result.cause == "python-objects"
    assert len(result.findings) == 1
    assert result.findings[0].rate_bytes_per_iteration == pytest.approx(90_640, rel=0.01)


def test_arrays_are_pythons_where_tracing_saw_them() -> None:
    traced = {"trace": {"sites": [], "holders": [], "traced_bytes_per_iteration": 80_000.0}}
    result = judge([record(), record(consumer=True, malloc=leak(90_000.0), end=traced)])
    assert result.cause == "python-objects"


def test_a_text_that_grows_in_place_is_pythons() -> None:
    holder = held("str", "report", growth_per_iteration=1465.0, unit="byte")
    traced = {"trace": {"sites": [], "holders": document(holder), "traced_bytes_per_iteration": 0.0}}
    result = judge([record(), record(consumer=True, malloc=leak(1536.0), end=traced)])
    assert result.cause == "python-objects"


def test_sites_and_holders_come_with_the_leak() -> None:
    site, holder = Site("a.py", 3, "f", "python", 5000.0), held("list", "seen")
    traced = {
        "trace": {"sites": document(site), "holders": document(holder), "traced_bytes_per_iteration": 5000.0}
    }
    result = judge([record(), record(consumer=True, python=leak(5000.0), end=traced)])
    assert result.sites == (site,)
    assert result.holders == (holder,)
    assert "a.py:3" in result.advice[0]


def test_the_librarys_leak_is_the_librarys() -> None:
    arms = [record(malloc=leak(5000.0)), record(consumer=True, malloc=leak(5000.0))]
    result = judge(arms)
    assert (result.verdict, result.origin) == ("leak", "library")


def test_the_librarys_crumbs_are_a_warning() -> None:
    result = judge([record(malloc=leak(220.0)), record("in-memory")])
    assert result.verdict == "no-leak"
    assert any("220 bytes per slice" in line for line in result.warnings)


def test_crumbs_with_the_users_code_and_no_control_are_left_open() -> None:
    result = judge([record(consumer=True, python=leak(64.0))])
    assert result.verdict == "inconclusive"
    assert "diagnose" in result.summary


def test_without_a_control_nobody_is_named() -> None:
    result = judge([record(consumer=True, python=leak(5000.0))])
    assert (result.verdict, result.origin) == ("leak", None)


def test_the_users_floor() -> None:
    arms = [record(), record(consumer=True, python=leak(5000.0))]

    def judged_above(floor: int) -> str | None:
        return judge([replace(a, header=replace(a.header, min_leak=floor)) for a in arms]).verdict

    assert judged_above(100_000) == "no-leak"
    assert judged_above(1000) == "leak"


def test_descriptors_that_pile_up() -> None:
    result = judge([record(), record(consumer=True, fds=leak(1.0))])
    assert (result.verdict, result.cause) == ("leak", "file-mapping")
    assert result.findings[0].detail is not None
    assert "descriptors" in result.findings[0].detail


def test_an_array_that_is_written_to_for_the_first_time_can_get_no_larger() -> None:
    def array(n: int) -> float:
        return 400 * MB * (n > 0)

    def judged(reserved: Callable[[int], float], malloc: Callable[[int], float] = array) -> Result:
        pages = record(
            consumer=True, malloc=malloc, anon=lambda n: MB * n - malloc(n), reserved=reserved, epochs=6
        )
        return judge([record(reserved=lambda n: 0.0), pages])

    filled = judged(array)
    assert filled.verdict == "no-leak"
    assert any("preallocated" in (finding.detail or "") for finding in filled.findings)
    assert judged(lambda n: array(n) + MB * n).verdict == "leak"
    assert judged(lambda n: array(n) + MB / 8 * n).verdict == "leak"
    # An allocator of its own may have kept addresses of what it had freed.
    assert judged(array, lambda n: 0.0).verdict == "inconclusive"


def test_a_little_in_every_epoch_is_asked_about_and_found_in_more_of_them() -> None:
    rate = 300_000 / SLICES

    def verdict(epochs: int, reserved: float) -> str:
        control = record(reserved=lambda n: 0.0, epochs=epochs)
        return judge(
            [control, record(consumer=True, anon=leak(rate), reserved=leak(reserved), epochs=epochs)]
        ).verdict

    assert [verdict(epochs, rate) for epochs in (3, 16)] == ["inconclusive", "leak"]
    # No mapping became larger.
    assert [verdict(epochs, 0.0) for epochs in (3, 16)] == ["no-leak", "inconclusive"]


def test_children_that_grow_unevenly_are_asked_about_until_there_are_epochs_enough() -> None:
    def verdict(epochs: int, rate: float) -> str:
        # The first of them finds places that were free.
        found = record(
            consumer=True, children_anon=lambda n: max(0.0, n - 1.9 * SLICES) * rate, epochs=epochs
        )
        return judge([record(epochs=epochs, children_anon=lambda n: 0.0), found]).verdict

    rate = 600_000 / SLICES
    assert [verdict(epochs, rate) for epochs in (3, 16)] == ["inconclusive", "leak"]
    # Somebody's pages, once.
    assert verdict(3, 0.05 * rate) == "no-leak"


def test_arenas_that_come_and_go_with_their_last_object_are_no_leak() -> None:
    def verdict(anon: Callable[[int], float], own: float = 0.0) -> str:
        # Page counts move by less than a hundredth of that.
        found = record(consumer=True, epochs=30, anon=lambda n: anon(n) + own * n, python_free=anon)
        return judge([record(epochs=30), found]).verdict

    walk = [0, 3, 4, 3, 5, 4, 5, 6, 6, 7, 6, 6, 6, 8, 8, 7, 7, 8, 8, 7, 6, 7, 7, 6, 6, 6, 5, 5, 6, 5, 6]

    def arenas(n: int) -> float:
        return float(walk[n // SLICES] * MB)

    assert verdict(arenas) == "no-leak"
    assert verdict(arenas, 200_000.0) == "leak"


@pytest.mark.parametrize("steps", [(4, 4), (4, 4, 4), (6, 2, 6, 2, 6, 2), (4, 8, 3, 9)])
def test_arenas_that_become_more_in_every_epoch_are_asked_about(steps: tuple[int, ...]) -> None:
    levels = [0, 0, *itertools.accumulate(steps)]

    def arenas(n: int) -> float:
        return float(levels[n // SLICES] * MB)

    found = record(consumer=True, epochs=len(levels) - 1, anon=arenas, python_free=arenas)
    assert judge([record(epochs=len(levels) - 1), found]).verdict != "no-leak"


def test_what_goes_with_a_child_that_is_replaced_is_no_leak() -> None:
    # A period that does not divide an epoch: its ends rise for dozens of epochs.
    period, lasts = SLICES - 1, 600_000.0

    def verdict(own: Callable[[int], float], epochs: int = 6) -> str:
        found = record(
            consumer=True,
            epochs=epochs,
            children_anon=lambda n: lasts * (n % period) + own(n),
            children_grown=own,
        )
        still = record(epochs=epochs, children_anon=lambda n: 0.0, children_grown=lambda n: 0.0)
        return judge([still, found]).verdict

    assert verdict(lambda n: 0.0) == "no-leak"
    assert verdict(leak(10_000.0)) == "inconclusive"
    assert verdict(leak(100_000.0)) == "leak"


@pytest.mark.parametrize("epochs", [4, 6, 16])
def test_a_child_that_is_left_behind_in_each_epoch_is_nobodys_successor(epochs: int) -> None:
    left = record(
        consumer=True,
        epochs=epochs,
        children=lambda n: n // SLICES,
        children_anon=lambda n: n // SLICES * 40 * MB,
        children_grown=lambda n: 0.0,
    )
    still = record(epochs=epochs, children_anon=lambda n: 0.0, children_grown=lambda n: 0.0)
    assert judge([still, left]).verdict == "leak"


def test_anonymous_memory_that_no_counter_owns() -> None:
    grown = record(consumer=True, anon=leak(MB), epochs=6)
    result = judge([record(epochs=6), grown])
    assert (result.verdict, result.cause) == ("leak", "anonymous-other")


@pytest.mark.parametrize(
    ("objects", "pages", "cause"),
    [
        # An object of Python's for each mapping of a megabyte, which no allocator knows.
        (96.0, MB, "anonymous-other"),
        # Size classes and holes: pages go with what is in use.
        (MB, 0.7 * MB, "python-objects"),
    ],
)
def test_pages_beside_objects_are_their_waste_or_a_leak_of_their_own(
    objects: float, pages: float, cause: str
) -> None:
    control = record(epochs=6)
    result = judge([control, record(consumer=True, python=leak(objects), anon=leak(pages), epochs=6)])
    assert (result.verdict, result.cause) == ("leak", cause)


def test_what_is_open_says_what_would_decide_it() -> None:
    young = [record(epochs=3), record(consumer=True, python=leak(5000.0), epochs=3)]
    assert judge(young).verdict == "inconclusive"
    question = what_is_open(assess_all(young))
    assert question is not None
    assert "epochs" in question
    assert what_is_open(assess_all([record(), record("in-memory")])) is None


@pytest.mark.parametrize("end", [None, {"outcome": "failed", "detail": "slice 3: ValueError: no"}])
def test_a_program_that_died_is_not_cleared(end: dict[str, Any] | None) -> None:
    dead = record(consumer=True, epochs=1, end=end, killed=end is None)
    result = judge([record(), dead])
    assert result.verdict == "inconclusive"
    assert result.rate_bytes_per_iteration is None
    assert any("did not end by itself" in line for line in result.warnings)


def test_a_decided_verdict_wins_over_an_arm_that_died() -> None:
    leaking = record(consumer=True, python=leak(5000.0), end={"outcome": "failed", "detail": "later"})
    assert judge([record(), leaking]).verdict == "leak"
    in_memory_died = record("in-memory", epochs=1, killed=True)
    assert judge([record(), in_memory_died]).verdict == "no-leak"


def test_without_a_sample_there_is_nothing_to_judge() -> None:
    empty = Recording(record().header, ())
    with pytest.raises(InputError, match="not one sample"):
        judge([empty])


def test_a_system_that_shows_little() -> None:
    """With psutil alone there is no split of RSS: what is exact decides, and what is missing is named."""
    bare = record("in-memory")
    samples = [
        ArmSample(
            s.kind,
            s.epoch,
            s.slice,
            s.seconds,
            step=s.step,
            warmup=s.warmup,
            rows=s.rows,
            rss=s.rss,
            blocks=s.blocks,
        )
        for s in bare.samples
    ]
    header = replace(bare.header, missing=("the split of RSS",))
    result = judge([Recording(header, samples, bare.end)])
    assert result.verdict == "no-leak"
    assert "not measured here: the split of RSS" in result.warnings


@pytest.mark.parametrize(
    ("rate", "in_longer", "verdict"),
    [
        # 82 bytes of pandas' own in one pair of processes, and none in the next with four times the work.
        (82.0, 0.0, "no-leak"),
        (82.0, 82.0, "leak"),
        # More than crumbs: something grew, and why it did not go on is not known.
        (5000.0, 0.0, "inconclusive"),
        (5000.0, 5000.0, "leak"),
    ],
)
def test_more_of_the_same_work_confirms_or_refutes(rate: float, in_longer: float, verdict: str) -> None:
    result = judge(
        [
            record(),
            record(consumer=True, python=leak(rate)),
            record("in-memory", epochs=16),
            record("in-memory", consumer=True, epochs=16, python=leak(in_longer)),
        ]
    )
    assert result.verdict == verdict, result.summary
    assert any("not a leak" in line for line in result.warnings) == (verdict == "no-leak")


def test_where_both_leak_whoever_keeps_more_is_named_and_the_other_mentioned() -> None:
    def arms(library: float, user: float) -> list[Recording]:
        return [record(malloc=leak(library)), record(consumer=True, malloc=leak(library + user))]

    mine = judge(arms(1000.0, 9000.0))
    assert (mine.verdict, mine.origin) == ("leak", "user-code")
    assert mine.rate_bytes_per_iteration == pytest.approx(9000, rel=0.01)
    assert "never freed either" in mine.summary
    theirs = judge(arms(9000.0, 1000.0))
    assert (theirs.verdict, theirs.origin) == ("leak", "library")
    assert theirs.rate_bytes_per_iteration == pytest.approx(9000, rel=0.01)
    assert "Your consumer keeps something besides" in theirs.summary


def arms_of_two_rounds(in_longer: Callable[[int], float], **first: Any) -> list[Recording]:
    return [
        record(),
        record(consumer=True, **first),
        record("in-memory", epochs=16),
        record("in-memory", consumer=True, epochs=16, malloc=in_longer),
    ]


def test_what_a_longer_run_contradicts_is_measured_again_for_as_long() -> None:
    only_mapped = arms_of_two_rounds(leak(0.0), malloc=leak(5000.0))
    assert what_to_repeat(assess_all(only_mapped)) == 16 * SLICES
    bounded = arms_of_two_rounds(lambda n: 5000.0 * min(n, 120), malloc=leak(5000.0))
    assert what_to_repeat(assess_all(bounded)) == 16 * SLICES
    confirmed = arms_of_two_rounds(leak(5000.0), malloc=leak(5000.0))
    assert what_to_repeat(assess_all(confirmed)) is None
    # It fades, and no repetition of the same length would say more.
    fading = arms_of_two_rounds(lambda n: 5e5 * n**0.5, malloc=leak(5000.0))
    assert what_to_repeat(assess_all(fading)) is None
    crumbs = arms_of_two_rounds(leak(0.0), malloc=leak(82.0))
    assert what_to_repeat(assess_all(crumbs)) is None


def test_a_leak_in_one_mode_alone_is_one() -> None:
    arms = arms_of_two_rounds(leak(0.0))
    arms[:2] = [record(epochs=16), record(consumer=True, epochs=16, malloc=leak(5000.0))]
    assert (judge(arms).verdict, judge(arms).origin) == ("leak", "user-code")


def test_what_a_longer_run_does_not_confirm_is_not_the_cause() -> None:
    """Another program put as much into /dev/shm, slice by slice, and not any more later."""
    arms = arms_of_two_rounds(leak(5000.0), malloc=leak(5000.0), dev_shm=leak(2 * MB))
    result = judge(arms)
    assert (result.verdict, result.cause) == ("leak", "native-heap")
    assert {finding.cause for finding in result.findings if finding.role == "leak"} == {"native-heap"}


def test_what_others_put_into_dev_shm_is_not_called_ones_own() -> None:
    def run(sites: list[dict[str, Any]]) -> Result:
        end = {"trace": {"sites": sites, "holders": [], "followed": "dev_shm"}}
        arms = [record(), record(consumer=True, dev_shm=leak(5e4), end=end)]
        return judge([*arms, record("in-memory"), record("in-memory", consumer=True, dev_shm=leak(5e4))])

    # It grows as evenly as a loop in each arm, and none of the user's lines makes it.
    result = run([])
    assert result.verdict == "inconclusive"
    assert "/dev/shm" in result.summary
    assert run(document(Site("a.py", 3, "f", "native", 5e4))).cause == "shared-memory"


def test_a_leak_in_dev_shm_in_one_mode_alone_is_one_where_a_line_makes_it() -> None:
    trace = {"sites": document(Site("a.py", 3, "f", "native", 5e4)), "holders": [], "followed": "dev_shm"}
    arms = [record(), record(consumer=True, dev_shm=leak(5e4), end={"trace": trace})]
    result = judge([*arms, record("in-memory"), record("in-memory", consumer=True)])
    assert (result.verdict, result.cause) == ("leak", "shared-memory")


def test_a_leak_is_not_taken_for_what_others_put_into_dev_shm() -> None:
    arms = [record(), record(consumer=True, python=leak(700.0)), record("in-memory")]
    result = judge([*arms, record("in-memory", consumer=True, python=leak(700.0), dev_shm=leak(5e4))])
    assert (result.verdict, result.cause) == ("leak", "python-objects")
    assert result.rate_bytes_per_iteration == pytest.approx(700, rel=0.01)


def test_what_others_put_into_dev_shm_leaves_nothing_open_where_one_arm_saw_none_of_it() -> None:
    uneven = record("in-memory", consumer=True, epochs=6, dev_shm=lambda n: 1e5 * n + 3e6 * (n // 50))
    arms = [record(), record(consumer=True), record("in-memory", epochs=6), uneven]
    assert judge(arms).verdict == "no-leak"
    assert judge(arms[2:]).verdict == "inconclusive"
    # It grows, and others take files of theirs away meanwhile.
    fewer = record("in-memory", consumer=True, epochs=8, dev_shm=lambda n: 5e4 * n + 9e6 * (n < 90))
    found = judge([record("in-memory", epochs=8), fewer])
    assert (found.verdict, found.cause) == ("leak", "shared-memory")
    assert found.rate_bytes_per_iteration == pytest.approx(5e4, rel=0.01)
    # As even as a loop, and in both: it is the loop's.
    both = [record(), record(consumer=True, dev_shm=leak(5e4)), record("in-memory")]
    assert judge([*both, record("in-memory", consumer=True, dev_shm=leak(5e4))]).cause == "shared-memory"


def test_a_crumb_that_stops_in_a_longer_run_is_no_leak() -> None:
    result = judge(arms_of_two_rounds(lambda n: 150.0 * min(n, 100), malloc=leak(150.0)))
    assert result.verdict == "no-leak"
    assert any("did not go on growing" in line for line in result.warnings)


WHERE = Line("a.py", 3)


@pytest.mark.parametrize(
    "holder",
    [
        held("deque", "window", bound=Bound(5000, argument="maxlen")),
        held("lru_cache", "f", bound=Bound(5000, argument="maxsize")),
        held("dict", "d", bound=Bound(5000, where=WHERE)),
        held("dict", "d", unreached=WHERE),
    ],
)
def test_a_container_with_a_bound_that_was_not_reached_is_no_leak_yet(holder: Holder) -> None:
    traced = {"trace": {"sites": [], "holders": document(holder)}}
    result = judge([record(), record(consumer=True, python=leak(5000.0), end=traced)])
    assert result.verdict == "inconclusive"
    assert holder.path in result.summary


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        (Bound(5_000_000, argument="maxsize"), "leak"),
        (Bound(5_000_000, where=WHERE), "leak"),
        # As many bytes, and not as many items.
        (Bound(5_000_000, "total", where=WHERE), "inconclusive"),
    ],
)
def test_a_bound_that_no_memory_would_hold_is_none(bound: Bound, verdict: str) -> None:
    end = {"trace": {"sites": [], "holders": document(held("dict", "d", bound=bound))}}
    for memory, expected in ((64 << 30, "inconclusive"), (16 << 30, verdict)):
        consumer = record(consumer=True, python=leak(5000.0), end=end, memory=memory)
        assert judge([record(), consumer]).verdict == expected


def test_the_bound_of_what_holds_little_is_not_the_leaks() -> None:
    for size, verdict in ((130.0, "leak"), (4000.0, "inconclusive")):
        holder = held("dict", "d", bound=Bound(5000, where=WHERE), bytes_per_iteration=size)
        traced = {"trace": {"sites": [], "holders": document(holder)}}
        arms = [record(), record(consumer=True, python=leak(5000.0), end=traced)]
        assert judge(arms).verdict == verdict


def test_a_table_that_doubles_beside_objects_is_part_of_their_rate() -> None:
    doubling = record(
        consumer=True,
        epochs=16,
        python=leak(320.0),
        malloc=lambda n: 100.0 * 2 ** math.ceil(math.log2(n + 1)),
    )
    result = judge([record(epochs=16), doubling])
    assert (result.verdict, result.cause) == ("leak", "python-objects")
    assert result.rate_bytes_per_iteration == pytest.approx(420, rel=0.3)


def test_what_the_users_code_filled_in_the_first_epoch_is_named() -> None:
    filled = record(consumer=True, malloc=lambda n: 1e5 * min(n, 15))
    result = judge([record(), filled])
    assert result.verdict == "no-leak"
    assert [(f.cause, f.growth_bytes) for f in result.findings] == [("bounded-cache", 1_500_000)]
