"""Scripted recordings of watched programs: each is a story whose end is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from leaks import SITE, document, held

from hfmemdebug.analysis.program_verdict import judge_program
from hfmemdebug.decode import decode
from hfmemdebug.leak import Bound
from hfmemdebug.recording.end import End
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import ArmInfo, Header, Workload
from hfmemdebug.recording.sample import ProcessSample, TreeSample
from hfmemdebug.result import Result

MB = 1 << 20
LOOKS = 100
Story = Callable[[float], dict[str, Any]]


def still(**fields: Any) -> Story:
    """A process that does nothing with its memory."""
    return lambda t: {
        "rss": 300 * MB, "anon": 200 * MB, "file": 100 * MB, "shmem": 0, "swap": 0, "pss": 300 * MB,
        "pss_anon": 200 * MB, "private_dirty": 200 * MB, "threads": 4, "role": "main", "forked": False, **fields,
    }  # fmt: skip


def inside(**fields: Any) -> Story:
    """The same with a sampler in it."""
    return still(**{"blocks": 500_000, "malloc": 60 * MB, "arrow": 0, "python": 40 * MB, **fields})


PROGRAM = ArmInfo("program", "program", consumer=False)


def judge(
    processes: dict[int, Callable[[float], dict[str, Any] | None]],
    *,
    rows: Callable[[float], float] = lambda t: 0,
    tree: Callable[[float], dict[str, Any]] = lambda t: {},
    end: dict[str, Any] | None = None,
    command: str = "run",
    looks: int = LOOKS,
    min_leak: int | None = None,
    header: dict[str, Any] | None = None,
) -> Result:
    """The verdict on stories that are told as time goes from 0 to 1; None is a process that does not live."""
    trees: list[TreeSample] = []
    for look in range(looks):
        t = look / looks
        fields = {pid: told for pid, story in processes.items() if (told := story(t)) is not None}
        living = tuple(ProcessSample(look / 10, pid, **told) for pid, told in fields.items())
        sums: dict[str, Any] = {
            name: sum(told.get(name) or 0 for told in fields.values())
            for name in ("rss", "anon", "file", "shmem", "swap", "pss", "pss_anon", "threads")
        }
        sums.update(children=len(fields) - 1, rows=int(rows(t)), dev_shm=0)
        sums.update(tree(t))
        trees.append(TreeSample(look / 10, **sums, processes=living))
    first_line = Header(command, PROGRAM, Workload(), **{"min_leak": min_leak, **(header or {})})
    last_line = decode(End, {"outcome": "completed", **(end or {})})
    recording = Recording(first_line, end=last_line, trees=tuple(trees))
    return judge_program(recording)


def grown(story: Story, name: str, by: float, *, from_t: float = 0.0) -> Story:
    """The story with one field growing evenly by so much until the end."""
    return lambda t: {**story(t), name: round(story(t)[name] + by * max(0.0, t - from_t))}


def forked(t0: float, t1: float, number: int, **fields: Any) -> Callable[[float], dict[str, Any] | None]:
    story = inside(role=f"DataLoader worker {number}", forked=True, private_dirty=5 * MB, **fields)
    return lambda t: story((t - t0) / (t1 - t0)) if t0 <= t < t1 else None


def test_a_fork_that_frees_what_it_has_inherited_hides_nothing() -> None:
    # In each of three epochs the worker drops a buffer of its parent's once it has its own.
    workers = {}
    for epoch in range(3):
        story, own = forked(epoch / 3, (epoch + 0.9) / 3, 0), (epoch + 0.4) / 3
        workers[2 + epoch] = lambda t, story=story, own=own: (
            None if (told := story(t)) is None else {**told, "malloc": (60 if t < own else 20) * MB}
        )
    assert judge({1: inside(), **workers}).verdict == "no-leak"
    leaking = judge({1: grown(inside(), "malloc", 30 * MB), **workers})
    assert (leaking.verdict, leaking.cause) == ("leak", "native-heap")


def test_what_is_in_flight_in_two_workers_is_not_in_step() -> None:
    def worker(number: int, period: float, more: float = 0.0) -> Story:
        story = inside(role=f"map worker {number}", anon=60 * MB)
        return lambda t: {**story(t), "malloc": round((30 + 25 * (t * period % 1) + more * t) * MB)}

    def verdict(more: float) -> str:
        stories = {1: inside(anon=60 * MB), 2: worker(0, 8.3), 3: worker(1, 7.1, more)}
        return judge(stories, looks=400).verdict

    assert [verdict(more) for more in (0, 4, 30)] == ["no-leak", "inconclusive", "leak"]


def test_stages_that_need_more_each_and_end_keep_nothing() -> None:
    def stage(number: int, more: float = 0.0) -> Callable[[float], dict[str, Any] | None]:
        story = inside(role=f"python stage {number}")
        return lambda t: (
            {**story(t), "malloc": round((60 + 40 * number + more * (t * 3 - number)) * MB)}
            if number <= t * 3 < number + 1
            else None
        )

    shell = still(role="sh", anon=MB)
    stages = {2 + number: stage(number) for number in range(3)}
    assert judge({1: shell, **stages}, looks=300).verdict == "no-leak"
    assert judge({1: shell, **stages, 4: stage(2, 30.0)}, looks=300).verdict != "no-leak"


def test_an_array_that_is_written_to_for_the_first_time_can_get_no_larger() -> None:
    pages = grown(inside(reserved=900 * MB, mapped=2000 * MB), "anon", 120 * MB)

    def filling(t: float) -> dict[str, Any]:
        return {**pages(t), "malloc": (180 if t > 0.05 else 60) * MB}

    # An allocator of its own may have kept addresses of what it had freed.
    assert judge({1: pages}, rows=lambda t: 1e5 * t).verdict == "inconclusive"
    filled = judge({1: filling}, rows=lambda t: 1e5 * t)
    assert (filled.verdict, filled.cause) == ("no-leak", "bounded-cache")
    assert "preallocated" in filled.findings[0].detail
    assert judge({1: grown(filling, "reserved", 120 * MB)}).verdict == "leak"
    assert judge({1: grown(filling, "reserved", 20 * MB)}).verdict == "leak"
    # Whatever allocator a program without a sampler has: it may have asked for much in advance.
    outside = grown(still(reserved=900 * MB), "anon", 120 * MB)
    assert judge({1: outside}).verdict == "inconclusive"
    assert judge({1: grown(outside, "reserved", 120 * MB)}).verdict == "leak"


def test_a_segment_that_is_written_to_for_the_first_time_can_get_no_larger() -> None:
    filling = grown(inside(mapped=2000 * MB), "shmem", 120 * MB)

    def in_shm(t: float) -> dict[str, Any]:
        return {"dev_shm": round(120 * MB * t), "segments": round(120 * MB * t)}

    assert judge({1: filling}, tree=in_shm).verdict == "no-leak"
    growing = grown(filling, "mapped", 120 * MB)
    assert judge({1: growing}, tree=in_shm).verdict == "leak"
    # Something else was mapped meanwhile; the segment is as large as it was.
    assert (
        judge({1: growing}, tree=lambda t: {**in_shm(t), "segments_reserved": 120 * MB}).verdict == "no-leak"
    )
    more = judge({1: growing}, tree=lambda t: {**in_shm(t), "segments_reserved": round(130 * MB * t)})
    assert more.verdict == "leak"


def test_the_counter_that_grew_most_gives_the_cause() -> None:
    story = grown(grown(inside(), "arrow", 40 * MB), "blocks", 100_000)
    result = judge({1: grown(story, "anon", 46 * MB)}, rows=lambda t: 1e5 * t)
    assert result.cause == "arrow-pool"
    assert "Arrow" in result.summary


def test_a_process_has_one_role_in_the_table_and_in_the_sentence() -> None:
    # Who it is, a worker says once it runs; the table was taken before that.
    def worker(t: float) -> dict[str, Any]:
        return {**inside()(t), "role": "worker 0" if t < 0.1 else "DataLoader worker 1"}

    result = judge({1: inside(), 2: worker}, end={"processes": [{"pid": 2, "role": "worker 0"}]})
    assert [process["role"] for process in result.processes or ()] == ["DataLoader worker 1"]


def test_pages_of_a_segment_are_no_copies() -> None:
    def worker(t: float) -> dict[str, Any]:
        written = {"shmem": round(90 * MB * t), "private_dirty": round((5 + 90 * t) * MB)}
        return {**inside(role="worker 0", forked=True)(t), **written}

    assert "copy-on-write" not in {f.cause for f in judge({1: inside(), 2: worker}).findings}


def test_nothing_grows() -> None:
    result = judge({1: inside()}, rows=lambda t: 1e6 * t)
    assert (result.verdict, result.cause, result.iteration) == ("no-leak", None, "1000 rows")
    assert result.rate_bytes_per_iteration == 0
    assert result.smallest_detectable_bytes_per_iteration is not None
    assert result.smallest_detectable_bytes_per_iteration <= 2 * MB / 990


def test_python_objects_in_the_main_process() -> None:
    story = grown(grown(inside(), "blocks", 200_000), "python", 200_000 * 80)
    result = judge({1: story}, rows=lambda t: 1e6 * t)
    assert (result.verdict, result.cause) == ("leak", "python-objects")
    assert result.rate_bytes_per_iteration == pytest.approx(200_000 * 80 / 1000, rel=0.05)
    assert result.rate_bytes_per_row == pytest.approx(200_000 * 80 / 1e6, rel=0.05)
    assert "in main (PID 1)" in result.summary


def test_rows_that_were_not_counted_leave_seconds() -> None:
    result = judge({1: grown(inside(), "arrow", 64 * MB)})
    assert (result.verdict, result.cause, result.iteration) == ("leak", "arrow-pool", "second")
    assert result.rate_bytes_per_second == pytest.approx(6.4 * MB, rel=0.05)
    assert result.rate_bytes_per_row is None


def test_malloc_alone_is_native_and_with_objects_it_is_theirs() -> None:
    native = judge({1: grown(inside(), "malloc", 64 * MB)})
    assert (native.verdict, native.cause) == ("leak", "native-heap")
    arrays = judge({1: grown(grown(inside(), "malloc", 64 * MB), "blocks", 1000)})
    assert (arrays.verdict, arrays.cause) == ("leak", "python-objects")


def test_what_another_process_has_more_of_owns_nothing_in_the_one_that_leaks() -> None:
    leaking = grown(inside(role="worker 0"), "malloc", 64 * MB)
    stray = judge({1: grown(inside(), "blocks", 1000), 2: leaking})
    assert (stray.verdict, stray.cause) == ("leak", "native-heap")
    own = judge({1: grown(inside(), "blocks", 1000), 2: grown(leaking, "blocks", 1000)})
    assert (own.verdict, own.cause) == ("leak", "python-objects")


def test_what_objects_own_is_one_finding_with_them() -> None:
    result = judge({1: grown(grown(inside(), "malloc", 64 * MB), "blocks", 100_000)})
    [leak] = [finding for finding in result.findings if finding.role == "leak"]
    assert leak.cause == "python-objects"
    assert leak.rate_bytes_per_iteration == result.rate_bytes_per_iteration
    assert leak.interval is not None
    assert leak.interval[0] <= (leak.rate_bytes_per_iteration or 0) <= leak.interval[1]
    # Of the three quarters after the warm-up.
    assert 40 * MB < leak.growth_bytes < 70 * MB


def test_seconds_are_those_that_were_judged() -> None:
    def story(t: float) -> dict[str, Any]:
        return {**grown(inside(), "malloc", 64 * MB, from_t=0.5)(t), "modules": round(3000 * min(t, 0.5))}

    result = judge({1: story})
    assert (result.verdict, result.iteration) == ("leak", "second")
    # It comes in the second half of ten seconds alone.
    assert result.rate_bytes_per_second == result.rate_bytes_per_iteration
    assert result.rate_bytes_per_second == pytest.approx(6.4 * MB, rel=0.05)


def test_one_worker_alone_leaks() -> None:
    workers: dict[int, Any] = {n: forked(0.1, 1.0, n) for n in range(2, 5)}
    leaking = workers[3]
    workers[3] = lambda t: (told := leaking(t)) and {**told, "malloc": told["malloc"] + round(50 * MB * t)}
    result = judge({1: inside(), **workers}, rows=lambda t: 1e6 * t)
    assert result.verdict == "leak"
    assert "DataLoader worker 3 (PID 3)" in result.summary


def test_what_forks_have_inherited_is_counted_once() -> None:
    workers = {n: forked(0.3 + n / 100, 1.0, n) for n in range(2, 10)}
    result = judge({1: inside(), **workers}, rows=lambda t: 1e6 * t)
    assert result.verdict == "no-leak"


def test_workers_made_anew_each_epoch_are_no_leak() -> None:
    def epoch(number: int) -> Callable[[float], dict[str, Any] | None]:
        worker = forked(number / 20, (number + 1) / 20, number)

        def story(t: float) -> dict[str, Any] | None:
            told = worker(t)
            return told and {**told, "malloc": told["malloc"] + round(30 * MB * (t * 20 - number))}

        return story

    result = judge({1: inside(), **{2 + n: epoch(n) for n in range(20)}}, rows=lambda t: 1e6 * t, looks=400)
    assert result.verdict == "no-leak", result.summary


def test_copied_pages_are_explained_and_no_leak() -> None:
    def worker(t: float) -> dict[str, Any] | None:
        told = forked(0.1, 1.0, 0)(t)
        return told and {**told, "private_dirty": 5 * MB + round(150 * MB * t)}

    result = judge({1: inside(), 2: worker}, rows=lambda t: 1e6 * t)
    assert result.verdict == "no-leak"
    (finding,) = [f for f in result.findings if f.cause == "copy-on-write"]
    assert finding.role == "benign"
    assert "DataLoader worker 0 (PID 2)" in (finding.detail or "")
    assert any("numpy" in line and "forkserver" in line for line in result.advice)
    assert "DataLoader worker 0 (PID 2) has copied" in result.summary
    assert "--trace" not in result.summary
    traced = judge({1: inside(), 2: worker}, rows=lambda t: 1e6 * t, end={"traces": []})
    assert "and --trace, which looks at every object there, copies them too" in traced.summary


def test_garbage_that_the_collector_took_at_the_end_is_no_leak() -> None:
    story = grown(inside(), "blocks", 200_000)
    assert judge({1: story}).verdict == "leak"
    result = judge({1: story}, end={"garbage_blocks": 190_000})
    assert result.verdict == "no-leak"
    assert any("garbage" in (f.detail or "") for f in result.findings)
    # What stays beside it is not excused by it.
    result = judge({1: story}, end={"garbage_blocks": 90_000})
    assert result.verdict == "inconclusive"
    assert "took many of them as garbage" in result.summary
    # The tracer's own looks make what was gained look more than it was.
    assert judge({1: story}, end={"garbage_blocks": 60_000}).verdict == "leak"
    assert judge({1: story}, end={"garbage_blocks": 60_000, "traces": []}).verdict == "inconclusive"


def test_what_the_tracer_found_under_a_name_is_no_garbage() -> None:
    story = grown(inside(), "blocks", 200_000)
    for growth, garbage, verdict in (
        (100_000, 90_000, "leak"),
        (1_000, 90_000, "inconclusive"),
        # What a list took in may be no objects that came: as much as came was garbage.
        (100_000, 145_000, "no-leak"),
        (60_000, 90_000, "inconclusive"),
    ):
        end = {
            "garbage_blocks": garbage,
            "traces": [traced(holders=document(held(growth_per_iteration=growth)))],
        }
        result = judge({1: story}, end=end)
        assert result.verdict == verdict, result.summary


def read_now_and_then(story: Story, reads: int) -> Story:
    """The story of a process whose torn heap can be read only so often: in between, what was read is told again."""
    return lambda t: {
        **story(t),
        "malloc": story(int(t * reads) / reads)["malloc"],
        "malloc_reads": 1 + int(t * reads),
    }


@pytest.mark.parametrize("reads", [12, 20, 400])
def test_malloc_that_is_read_now_and_then(reads: int) -> None:
    grows = read_now_and_then(grown(inside(), "malloc", 40 * MB), reads)
    result = judge({1: grows}, looks=400)
    assert (result.verdict, result.cause) == ("leak", "native-heap")
    assert result.rate_bytes_per_second == pytest.approx(MB, rel=0.1)
    assert judge({1: read_now_and_then(inside(), reads)}, looks=400).verdict == "no-leak"
    # All at once, while nobody looked, is no growth with work, wherever it was.
    for when in (0.3, 0.6, 0.9):
        step = read_now_and_then(lambda t, when=when: inside(malloc=(60 + 40 * (t > when)) * MB)(t), reads)
        assert judge({1: step}, looks=400).verdict != "leak", when


def test_malloc_that_was_read_too_seldom_is_told_so() -> None:
    result = judge({1: read_now_and_then(grown(inside(), "malloc", 40 * MB), 6)}, looks=400)
    assert result.verdict == "inconclusive"
    assert "read only" in result.summary


@pytest.mark.parametrize(("since", "until"), [(-0.1, 0.97), (0.1, 0.8), (0.3, 0.6), (0.02, 0.9)])
def test_malloc_that_was_not_read_for_long_is_no_even_growth(since: float, until: float) -> None:
    """As on a busy machine: an import has filled it, and both readings that show that are far apart."""

    def story(t: float) -> dict[str, Any]:
        unread = since < t < until
        malloc = (60 if unread or t <= since else 69) * MB
        # It was read often enough before and after.
        return {
            **inside()(t),
            "malloc": malloc,
            "malloc_reads": round(500 * (t if not unread else max(since, 0))),
        }

    result = judge({1: story}, rows=lambda t: 24_000 * t)
    assert result.verdict != "leak", result.summary


def test_malloc_that_was_not_read_for_a_while_and_grew_before_and_after_it() -> None:
    def story(t: float) -> dict[str, Any]:
        seen = 0.3 if 0.3 < t < 0.6 else t
        return {**inside()(t), "malloc": round((60 + 40 * seen) * MB), "malloc_reads": round(500 * seen)}

    assert judge({1: story}, rows=lambda t: 24_000 * t).verdict == "leak"


def test_malloc_of_workers_that_come_and_go_was_not_unread_while_they_were_not_there() -> None:
    main = grown(inside(malloc_reads=1), "malloc", 100 * MB)

    def worker(t0: float) -> Callable[[float], dict[str, Any] | None]:
        story = forked(t0, t0 + 0.1, 0)

        def told(t: float) -> dict[str, Any] | None:
            fields = story(t)
            return None if fields is None else {**fields, "malloc": round((60 + 1500 * (t - t0)) * MB)}

        return told

    processes: dict[int, Any] = {1: lambda t: {**main(t), "malloc_reads": round(500 * t)}}
    processes |= {2 + n: worker(n / 10) for n in range(10)}
    result = judge(processes)
    assert (result.verdict, result.cause) == ("leak", "native-heap"), result.summary


def test_malloc_that_rose_until_it_was_read_no_more_has_not_stopped() -> None:
    def story(t: float) -> dict[str, Any]:
        seen = min(t, 0.6)
        return {**inside()(t), "malloc": round((60 + 40 * seen) * MB), "malloc_reads": round(500 * seen)}

    result = judge({1: story}, rows=lambda t: 24_000 * t)
    assert result.verdict == "inconclusive", result.summary


def test_a_little_garbage_may_be_what_imports_have_left() -> None:
    story = grown(inside(), "blocks", 30_000)
    assert judge({1: story}).verdict == "leak"
    result = judge({1: story}, end={"garbage_blocks": 18_000})
    assert result.verdict == "inconclusive"
    assert "imports" in result.summary
    assert judge({1: story}, end={"garbage_blocks": 9_000}).verdict == "leak"


def test_what_is_freed_as_the_program_ends_does_not_hide_a_leak() -> None:
    story = grown(inside(), "arrow", 64 * MB)

    def ending(t: float) -> dict[str, Any]:
        return {**story(t), "ending": True, "arrow": 0} if t > 0.93 else story(t)

    assert judge({1: ending}).verdict == "leak"


def test_workers_that_leave_before_the_end_do_not_hide_a_leak() -> None:
    def worker(t: float) -> dict[str, Any] | None:
        told = forked(0.1, 0.9, 0)(t)
        return told and {**told, "arrow": round(64 * MB * t)}

    assert judge({1: inside(), 2: worker}).verdict == "leak"


def test_a_leak_below_the_floor_is_none_and_min_leak_lowers_it() -> None:
    story = grown(inside(), "malloc", 0.6 * MB)
    quiet = judge({1: story})
    assert quiet.verdict == "no-leak"
    assert any("grew by" in line for line in quiet.warnings)
    assert judge({1: story}, min_leak=100_000).verdict == "leak"


def test_shared_memory_that_is_mapped() -> None:
    result = judge({1: grown(inside(), "shmem", 80 * MB)})
    assert (result.verdict, result.cause) == ("leak", "shared-memory")


def test_shared_memory_that_several_have_mapped_counts_once() -> None:
    def story(t: float) -> dict[str, Any]:
        return {**inside()(t), "shmem": round(80 * MB * t), "pss_shmem": round(40 * MB * t)}

    result = judge({1: story, 2: lambda t: {**story(t), "role": "worker 0", "forked": True}})
    assert result.verdict == "leak"
    assert result.rate_bytes_per_second == pytest.approx(8 * MB, rel=0.1)


def test_shared_memory_whose_pss_was_read_long_ago() -> None:
    def story(t: float) -> dict[str, Any]:
        return {**inside()(t), "shmem": round(80 * MB * t), "pss_shmem": round(80 * MB * (t // 0.3 * 0.3))}

    result = judge({1: story})
    assert result.verdict == "leak"
    assert result.rate_bytes_per_second == pytest.approx(8 * MB, rel=0.1)


def test_files_in_dev_shm_are_ours_or_anybodys() -> None:
    def tree(t: float) -> dict[str, Any]:
        return {"dev_shm": round(80 * MB * t)}

    anybodys = judge({1: inside()}, tree=tree)
    assert anybodys.verdict == "inconclusive"
    assert "whose they are cannot be told" in anybodys.summary
    ours = judge({1: inside()}, tree=tree, end={"shm_of_ours": 80 * MB})
    assert (ours.verdict, ours.cause) == ("leak", "shared-memory")


def test_what_grows_after_the_last_rows_is_not_called_none() -> None:
    grows = grown(inside(), "malloc", 100 * MB, from_t=0.77)
    result = judge({1: grows}, rows=lambda t: 1e6 * min(t, 0.77), looks=200)
    assert result.verdict == "inconclusive"
    assert "after the analysed interval" in result.summary
    # What is put together once, at the end, is none of it.
    step = judge(
        {1: lambda t: inside(malloc=(60 + 80 * (t > 0.8)) * MB)(t)},
        rows=lambda t: 1e6 * min(t, 0.77),
        looks=200,
    )
    assert step.verdict == "no-leak", step.summary


def test_what_grows_when_the_workers_have_gone_is_not_called_none() -> None:
    workers = {2: forked(0.1, 0.75, 0), 3: forked(0.1, 0.75, 1)}
    grows = grown(inside(), "malloc", 100 * MB, from_t=0.75)
    result = judge({1: grows, **workers}, rows=lambda t: 1e6 * t, looks=200)
    assert result.verdict == "inconclusive"
    assert "after the analysed interval" in result.summary
    assert judge({1: inside(), **workers}, rows=lambda t: 1e6 * t, looks=200).verdict == "no-leak"


def test_imports_at_the_end_leave_what_was_before_them_to_be_judged() -> None:
    def story(t: float, *, late: float) -> dict[str, Any]:
        return {**grown(inside(), "malloc", 40 * MB)(t), "modules": 500 + 100 * (t > 0.03) + 60 * (t > late)}

    for late in (0.85, 0.99):
        result = judge({1: lambda t, late=late: story(t, late=late)})
        assert (result.verdict, result.cause) == ("leak", "native-heap"), result.summary


def test_imports_at_the_end_that_take_long_are_seen_from_their_first_module_on() -> None:
    """As they do where allocations are traced: a few modules between two looks, and memory with them."""

    def story(t: float) -> dict[str, Any]:
        late = max(0.0, t - 0.85)
        told = grown(grown(inside(), "blocks", 300_000), "blocks", 3_000_000, from_t=0.85)(t)
        return {**told, "modules": 500 + 100 * (t > 0.03) + round(300 * late)}

    result = judge({1: story}, looks=160)
    assert (result.verdict, result.cause) == ("leak", "python-objects"), result.summary
    assert result.rate_bytes_per_second == pytest.approx(300_000 * 64 / 16, rel=0.1)


def test_segments_of_ones_own_are_seen_through_what_others_put_into_dev_shm() -> None:
    def others(t: float) -> float:
        return 60 * MB * (t * 3 % 1)

    def tree(segments: float | None, t: float) -> dict[str, Any]:
        own = {} if segments is None else {"segments": round(segments * MB)}
        return {"dev_shm": round(others(t) + (segments or 0) * MB), **own}

    lines = [
        {"file": "/code/a.py", "line": 3, "function": "share", "bytes": 5 * MB, "count": 5},
        {"file": "/code/a.py", "line": 9, "function": "share", "bytes": 15 * MB, "count": 300},
    ]
    result = judge(
        {1: inside()}, rows=lambda t: 1e6 * t, tree=lambda t: tree(20 * t, t), end={"shm_lines": lines}
    )
    assert (result.verdict, result.cause) == ("leak", "shared-memory")
    assert result.rate_bytes_per_iteration == pytest.approx(20 * MB / 1000, rel=0.1)
    assert [(site.line, site.kind, site.share) for site in result.sites] == [
        (9, "native", 0.75), (3, "native", 0.25),
    ]  # fmt: skip
    assert result.sites[0].bytes_per_iteration == pytest.approx(15 * MB / 1000, rel=0.05)
    assert "/code/a.py:9" in result.advice[0]
    assert not any("--trace" in line for line in result.advice)
    for told in (lambda t: 20.0, lambda t: None):
        result = judge({1: inside()}, rows=lambda t: 1e6 * t, tree=lambda t, told=told: tree(told(t), t))
        assert result.verdict == "no-leak", result.summary
    slower = judge({1: inside()}, rows=lambda t: 1e6 * t, tree=lambda t: tree(20 * t**0.5, t))
    assert slower.verdict == "inconclusive"
    assert "segments of shared memory" in slower.summary


def test_imports_grow_as_evenly_as_a_leak_and_are_none() -> None:
    importing = grown(grown(inside(), "malloc", 60 * MB), "blocks", 400_000)

    def story(t: float) -> dict[str, Any]:
        return {**importing(min(t, 0.9)), "modules": round(100 + 3000 * min(t, 0.9))}

    result = judge({1: story})
    assert result.verdict == "inconclusive"
    assert "imported modules until its end" in result.summary


def test_files_in_dev_shm_are_not_a_programs_that_wrote_nothing() -> None:
    def tree(t: float) -> dict[str, Any]:
        return {"dev_shm": round(80 * MB * t)}

    nothing = {"written_bytes": 1000, "written_by_others_bytes": 0, "shm_new_files_bytes": 80 * MB}
    assert judge({1: inside()}, tree=tree, end=nothing).verdict == "no-leak"
    wrote = {**nothing, "written_bytes": 80 * MB}
    assert judge({1: inside()}, tree=tree, end=wrote).verdict == "leak"
    both = {**wrote, "written_by_others_bytes": 80 * MB}
    assert judge({1: inside()}, tree=tree, end=both).verdict == "inconclusive"
    # One file after the other, by a worker that maps them, writes there and lets them go.
    maps = {1: inside(), 2: inside(shmem=100 << 10)}
    assert judge(maps, tree=tree, end=nothing).verdict == "inconclusive"
    mine = judge(maps, tree=lambda t: {**tree(t), "segments": round(60 * MB * t)}, end=nothing)
    assert (mine.verdict, mine.cause) == ("leak", "shared-memory")


def test_shared_memory_that_is_mapped_and_hardly_touched_is_told_by_its_files() -> None:
    def tree(t: float) -> dict[str, Any]:
        return {"dev_shm": round(80 * MB * t), "segments": round(80 * MB * t)}

    touched = grown(inside(), "shmem", 8 * MB)
    result = judge({1: touched}, rows=lambda t: 1e6 * t, tree=tree)
    assert (result.verdict, result.cause) == ("leak", "shared-memory")
    assert result.rate_bytes_per_iteration == pytest.approx(80 * MB / 1000, rel=0.1)
    assert "are never freed (segments of shared memory), all through" in result.summary


def test_descriptors_that_pile_up_with_their_objects() -> None:
    story = grown(grown(inside(), "blocks", 4000), "malloc", 5 * MB)
    result = judge({1: story}, tree=lambda t: {"fds": round(600 * t)})
    assert (result.verdict, result.cause) == ("leak", "file-mapping"), result.summary
    batches = judge({1: grown(story, "malloc", 500 * MB)}, tree=lambda t: {"fds": round(600 * t)})
    assert (batches.verdict, batches.cause) == ("leak", "python-objects")


def test_children_that_pile_up_and_are_let_go_at_the_end() -> None:
    def tree(t: float) -> dict[str, Any]:
        return {"children": round(100 * t) if t < 0.85 else round(85 - 500 * (t - 0.85))}

    assert judge({1: inside()}, tree=tree, looks=200).verdict == "leak"


def test_children_that_are_counted_now_and_then() -> None:
    # Every two seconds of twenty.
    result = judge({1: inside()}, tree=lambda t: {"children": 12 * int(10 * t)}, looks=200)
    assert result.verdict == "leak", result.summary


def test_children_that_come_and_go_are_not_its_start() -> None:
    def child(number: int) -> Callable[[float], dict[str, Any] | None]:
        def story(t: float) -> dict[str, Any] | None:
            done = t * 40 - number
            return {**inside()(t), "role": "python", "modules": round(500 * done)} if 0 <= done < 1 else None

        return story

    main = inside(modules=300)
    result = judge({1: main, **{2 + n: child(n) for n in range(40)}}, looks=400)
    assert result.verdict == "no-leak", result.summary


def test_threads_of_workers_made_anew_are_no_question() -> None:
    def tree(t: float) -> dict[str, Any]:
        return {"threads": 4 + round(t * 1e6) * 7919 % 40}

    assert judge({1: inside()}, tree=tree, looks=300).verdict == "no-leak"


def test_large_batches_that_come_and_go_are_no_question() -> None:
    def story(t: float) -> dict[str, Any]:
        # Of 1.5 MB each, up to four at a time; at the lowest there is none or one.
        return {**inside()(t), "arrow": (round(t * 1e6) * 7919 % 5 + round(t * 13) % 3) * 3 * MB // 2}

    assert judge({1: story}, rows=lambda t: 1e6 * t, looks=600).verdict == "no-leak"


def traced(**fields: Any) -> dict[str, Any]:
    return {
        "pid": 1, "began": 1.0, "from": 2.0, "to": 7.0, "blocks": 100_000, "block_bytes": 80.0,
        "sites": document(SITE), "holders": document(held(growth_per_iteration=100_000)), **fields,
    }  # fmt: skip


def test_sites_and_holders_are_those_of_the_process_that_leaks() -> None:
    story = grown(inside(python=None), "blocks", 200_000)
    traces = [traced(), traced(pid=2, holders=[])]
    result = judge({1: story, 2: inside()}, rows=lambda t: 1e6 * t, end={"traces": traces})
    assert result.verdict == "leak"
    # Half of the million rows lie between the two looks: 8 MB by 500 thousands.
    (site,) = result.sites
    assert site.bytes_per_iteration == pytest.approx(16_000, rel=0.05)
    assert (site.line, site.share) == (7, 1.0)
    assert result.holders[0].growth_per_iteration == pytest.approx(200, rel=0.05)
    assert result.advice[0] == "Look at train.py:7 in main: what stays comes from there."
    # The allocator cannot tell its bytes while it is traced: the trace does.
    assert result.rate_bytes_per_iteration == pytest.approx(200 * 80, rel=0.05)


def test_what_tracing_has_in_use_is_no_leak() -> None:
    story = grown(inside(), "anon", 100 * MB)
    assert judge({1: story}).cause == "anonymous-other"
    traced = judge({1: story}, end={"traces": []})
    assert traced.verdict == "inconclusive"
    assert "without --trace it can be told" in traced.summary


def test_seconds_before_and_under_tracing_are_not_compared() -> None:
    def story(t: float) -> dict[str, Any]:
        # Three times as fast until the third second of ten.
        return {**inside()(t), "blocks": 500_000 + round(200_000 * (3 * min(t, 0.3) + max(0, t - 0.3)))}

    assert judge({1: story}).verdict == "inconclusive"
    assert judge({1: story}, end={"traces": [traced(began=3.0, **{"from": 4.0})]}).verdict == "leak"


def test_workers_made_anew_and_traced_each_time_leave_the_whole_run_to_be_judged() -> None:
    """Twenty epochs of three seconds, at the beginning of which something stays each time."""

    def main(t: float) -> dict[str, Any]:
        return {**inside()(t), "blocks": 500_000 + 10_000 * int(20 * t)}

    processes: dict[int, Any] = {1: main}
    processes |= {2 + n: forked(n / 20, (n + 1) / 20, 0) for n in range(20)}
    traces = [traced(began=1.0)]
    traces += [
        traced(pid=2 + n, began=3 * n + 0.2, **{"from": 3 * n + 1, "to": 3 * n + 3}) for n in range(20)
    ]
    result = judge(processes, end={"traces": traces}, looks=600)
    assert (result.verdict, result.cause) == ("leak", "python-objects"), result.summary


def test_what_the_tracers_first_looks_leave_behind_is_no_pace_that_falls() -> None:
    def story(t: float) -> dict[str, Any]:
        return {**inside()(t), "blocks": 500_000 + round(60_000 * t) + 6_000 * (t > 0.37)}

    for begin, verdict in ((1.0, "inconclusive"), (4.0, "leak")):
        end = {"traces": [traced(began=1.0, block_bytes=64.0, **{"from": begin})]}
        result = judge({1: story}, rows=lambda t: 24_000 * t, end=end)
        assert result.verdict == verdict, result.summary


# The pace in MB over the run, the noise, and after how many windows it comes back.
@pytest.mark.parametrize(("pace", "amplitude", "period"), [(1.8, 0.7, 2), (2.2, 0.9, 3)])
def test_small_growth_under_a_trace_is_not_called_none(pace: float, amplitude: float, period: int) -> None:
    def story(t: float) -> dict[str, Any]:
        # Within the two hundredths of its memory that noise may hide, and over the floor.
        noise = amplitude * MB * (int((t - 0.25) / 0.75 * 8) % period)
        return {**inside()(t), "malloc": round(60 * MB + pace * MB * t + noise)}

    assert judge({1: story}).verdict == "no-leak"
    result = judge({1: story}, end={"traces": []})
    assert result.verdict == "inconclusive"
    assert "without --trace" in result.summary


def test_what_malloc_keeps_is_no_objects_of_pythons_where_tracing_has_seen_none_stay() -> None:
    def story(t: float) -> dict[str, Any]:
        # Looks leave a few thousand blocks behind, by and by.
        return {
            **inside(python=None)(t),
            "blocks": 500_000 + round(2_000 * t),
            "malloc": round((60 + 24 * t) * MB),
        }

    many = traced()["sites"]
    stray = [{**many[0], "bytes_per_iteration": 20_000.0, "count_per_iteration": 100.0}]
    holder = traced()["holders"]
    for sites, holders, cause in (
        ([], [], "native-heap"),
        (stray, [], "native-heap"),
        # Such as tensors, whose wrapper alone is seen.
        (stray, holder, "python-objects"),
        (many, [], "python-objects"),
    ):
        end = {"traces": [traced(sites=sites, holders=holders, block_bytes=None)]}
        result = judge({1: story}, rows=lambda t: 1e6 * t, end=end)
        assert (result.verdict, result.cause) == ("leak", cause)


def test_what_any_process_gathers_beside_the_one_that_leaks_has_no_line() -> None:
    stories = {1: grown(inside(python=None), "blocks", 200_000), 2: grown(inside(), "blocks", 5_000)}
    other = {**traced()["sites"][0], "line": 99}
    traces = [traced(), traced(pid=2, sites=[other])]
    result = judge(stories, rows=lambda t: 1e6 * t, end={"traces": traces})
    assert [site.line for site in result.sites] == [7]


def test_what_grew_under_a_trace_is_shown_where_nothing_is_decided() -> None:
    def story(t: float) -> dict[str, Any]:
        # All of it in one step, late.
        return {**inside()(t), "blocks": 500_000 + 200_000 * (t > 0.8)}

    result = judge({1: story}, rows=lambda t: 1e6 * t, end={"traces": [traced(), traced(pid=2)]})
    assert (result.verdict, result.sites, result.holders) == ("inconclusive", (), ())
    assert result.advice[1] == (
        "Not called a leak, but to be looked at: of what grew while allocations were traced, 100% (7.6 MB in 5.00 s) "
        "came from train.py:7 in main, held by module train: list `seen`."
    )


def test_what_grew_under_a_trace_by_less_than_any_leak_is_not_shown() -> None:
    def story(t: float) -> dict[str, Any]:
        return {**inside()(t), "blocks": 500_000 + 200_000 * (t > 0.8)}

    # In the five seconds half of what would be called a leak over the ten.
    site = {**traced()["sites"][0], "bytes_per_iteration": 0.5 * MB}
    above = {**site, "bytes_per_iteration": 0.6 * MB}
    for shown, number in ((site, 1), (above, 2)):
        result = judge({1: story}, rows=lambda t: 1e6 * t, end={"traces": [traced(sites=[shown])]})
        assert result.verdict == "inconclusive"
        assert len(result.advice) == number


def test_the_floor_is_of_the_whole_run_where_a_part_of_it_is_judged() -> None:
    # 1.3 MB over the run, of which less than 1 MB come after the tracer's first looks.
    story = grown(inside(python=None), "blocks", 1.3 * MB / 80)
    traces = [traced(**{"began": 2.5, "from": 4.0, "to": 9.8})]
    result = judge({1: story}, rows=lambda t: 1e6 * t, end={"traces": traces})
    assert (result.verdict, result.cause) == ("leak", "python-objects")


def test_a_trace_of_a_clean_program_names_nobody() -> None:
    result = judge({1: inside()}, rows=lambda t: 1e6 * t, end={"traces": [traced()]})
    assert (result.verdict, result.sites, result.holders) == ("no-leak", (), ())


def test_child_processes_that_pile_up() -> None:
    result = judge({1: inside()}, tree=lambda t: {"children": round(40 * t)})
    assert (result.verdict, result.cause) == ("leak", "anonymous-other")


def test_pages_decide_where_no_sampler_is_inside() -> None:
    assert judge({1: still()}).verdict == "no-leak"
    result = judge(
        {1: grown(still(), "anon", 200 * MB)}, tree=lambda t: {"anon": round((200 + 200 * t) * MB)}
    )
    assert (result.verdict, result.cause) == ("leak", "anonymous-other")
    assert any("judged from outside" in line for line in result.warnings)
    assert "Nothing was read inside" in result.advice[0]
    # A child that was given an environment without ours.
    child = judge({1: inside(), 2: grown(still(role="python tool.py"), "anon", 200 * MB)})
    assert (child.verdict, child.cause) == ("leak", "anonymous-other")
    assert "Nothing was read inside" in child.advice[0]


def test_what_ended_at_once_is_not_said_to_be_judged_from_outside() -> None:
    assert judge({1: still(pss=None)}, looks=1, end={"samplers": 1}).warnings == ()
    assert judge({1: still()}, looks=3, end={"samplers": 1}).warnings == ()
    assert "no sampler ran" in judge({1: still()}, looks=1, end={"samplers": 0}).warnings[0]
    assert "no sampler ran" in judge({1: still()}, looks=30, end={"samplers": 1}).warnings[0]


def test_a_process_whose_pss_was_not_read_is_named_once() -> None:
    processes = {1: inside(), 2: inside(pss=None, role="worker 0")}
    [warning] = judge(processes).warnings
    assert "worker 0 (2)" in warning
    denied = "process 2: PSS and files may not be read"
    assert judge(processes, end={"notes": [denied]}).warnings == (denied,)


def test_what_was_rss_before_does_not_shrink() -> None:
    def story(t: float) -> dict[str, Any]:
        return {**inside()(t), "pss": None if t < 0.1 else 250 * MB}

    def sums(t: float) -> dict[str, Any]:
        return {"pss": (300 if t < 0.1 else 250) * MB, "file": (100 if t < 0.1 else 50) * MB}

    growth = judge({1: story}, tree=sums).arms[0].growth
    assert (growth["rss"], growth["file"]) == (0, 0)


def test_pages_that_rise_all_along_are_not_called_none() -> None:
    # 9 MB in as many seconds: an allocator's arenas may do that, and a leak may too.
    result = judge({1: grown(still(), "anon", 9 * MB)}, command="attach")
    assert result.verdict == "inconclusive"
    assert "all along, which is too little in" in result.summary
    assert judge({1: still()}, command="attach").verdict == "no-leak"


def test_maps_of_ones_own_that_rise_all_along_are_not_called_none() -> None:
    # No counter has them, and they are fewer than what allocators move: ten megabytes in ten seconds.
    result = judge({1: grown(inside(), "anon", 10 * MB)}, rows=lambda t: 1e6 * t)
    assert result.verdict == "inconclusive"
    assert "all along" in result.summary
    step = judge({1: lambda t: inside(anon=(200 + 10 * (t > 0.5)) * MB)(t)}, rows=lambda t: 1e6 * t)
    assert step.verdict == "no-leak"
    assert judge({1: grown(inside(), "anon", 3 * MB)}, rows=lambda t: 1e6 * t).verdict == "no-leak"


def test_attached_growth_is_no_proof() -> None:
    result = judge({1: grown(still(), "anon", 200 * MB)}, command="attach")
    assert result.verdict == "inconclusive"
    assert result.summary.startswith("Sustained growth")
    assert result.findings[0].shape == "inconclusive"


def test_too_short() -> None:
    result = judge({1: grown(inside(), "malloc", 64 * MB)}, looks=10)
    assert result.verdict == "inconclusive"
    assert "too short" in result.summary


def test_a_program_that_died() -> None:
    killed = {"outcome": "killed", "detail": "the program was killed by SIGKILL", "exit_status": -9}
    clean = judge({1: inside()}, end=killed)
    assert clean.verdict == "inconclusive"
    assert "SIGKILL" in clean.summary
    assert (clean.arms[0].outcome, clean.arms[0].exit_status) == ("killed", -9)
    leaking = judge({1: grown(inside(), "malloc", 64 * MB)}, end=killed)
    assert leaking.verdict == "leak"
    assert "SIGKILL" in leaking.summary


def test_noise_of_batches_in_flight() -> None:
    def story(t: float) -> dict[str, Any]:
        return {**inside()(t), "malloc": 60 * MB + (round(t * 1e6) * 7919 % 40) * MB}

    assert judge({1: story}, rows=lambda t: 1e6 * t, looks=300).verdict == "no-leak"


def test_processes_as_they_were_last_seen_where_nobody_looked_deeper() -> None:
    result = judge({1: inside(), 2: forked(0.1, 1.0, 0)})
    assert result.processes is not None
    assert [p["role"] for p in result.processes] == ["main", "DataLoader worker 0"]
    assert result.processes[0]["anonymous_bytes"] == 200 * MB
    assert Result.from_dict(result.to_dict()) == result


def test_nothing_was_seen() -> None:
    header = Header("run", PROGRAM, Workload())
    result = judge_program(Recording(header, end=End("failed", "exit status 7")))
    assert (result.verdict, result.arms[0].outcome) == ("inconclusive", "failed")
    assert "exit status 7" in result.summary
    assert result.processes == ()


def test_a_leaking_worker_that_ends_first() -> None:
    def worker(t: float) -> dict[str, Any] | None:
        told = forked(0.1, 0.8, 1)(t)
        return told and {**told, "malloc": told["malloc"] + round(60 * MB * t)}

    others = {n: forked(0.1, 1.0, n) for n in range(3, 6)}
    result = judge({1: inside(), 2: worker, **others}, rows=lambda t: 1e6 * t)
    assert result.verdict == "leak", result.summary
    assert "DataLoader worker 1 (PID 2)" in result.summary


def test_what_a_returned_function_had_may_have_been_a_cache() -> None:
    growing = grown(grown(inside(), "blocks", 100_000), "python", 10 * MB)
    header = {"memory_bytes": 1 << 30}

    def judged(bound: int) -> Result:
        variables = [{"path": f"`texts` in main, bounded to {bound} (train.py:12)", "bound": bound}]
        return judge({1: growing}, rows=lambda t: 1e6 * t, end={"variables": variables}, header=header)

    assert judged(40_000).verdict == "inconclusive"
    assert "`texts` in main, bounded to 40000 (train.py:12); with --trace" in judged(40_000).summary
    # So few entries cannot be what came, and so many no memory holds.
    assert judged(2_000).verdict == judged(2_000_000_000).verdict == "leak"


def test_a_text_that_is_not_cut_yet_may_be_all_that_grew() -> None:
    growing = grown(inside(), "malloc", 60 * MB)
    header = {"memory_bytes": 1 << 30}

    def judged(*sizes: int, bound: int = 400 * MB, pid: int = 1, **more: float) -> Result:
        values = [
            {"path": f"str `log{n}`", "bytes": size, "bound_bytes": bound, "pid": pid}
            for n, size in enumerate(sizes)
        ]
        story = growing
        for name, amount in more.items():
            story = grown(story, name, int(amount))
        return judge({1: story}, rows=lambda t: 1e6 * t, end={"values": values}, header=header)

    for sizes in ((60 * MB,), (25 * MB, 35 * MB), (60 * MB, 300 * MB)):
        assert judged(*sizes).verdict == "inconclusive"
    assert "str `log0`, with 60.0 MB at the end" in judged(60 * MB).summary
    # Another one grew: it is too short, or was as long before; and so long no memory lets it get.
    assert (
        judged(20 * MB).verdict
        == judged(300 * MB).verdict
        == judged(60 * MB, bound=2 << 30).verdict
        == "leak"
    )
    # Objects are no text, and another process has none of this one's.
    assert judged(60 * MB, pid=2).verdict == "leak"
    assert judged(60 * MB, blocks=100_000, python=10 * MB).verdict == "leak"


def test_a_text_of_a_function_that_has_returned_may_be_all_that_grew() -> None:
    growing = grown(inside(), "malloc", 60 * MB)
    header = {"memory_bytes": 1 << 30}

    def judged(*lengths: int, size: int = 60 * MB, each: int = 4) -> Result:
        values = [
            {
                "path": f"`log{n}` in main",
                "bytes": size,
                "bound_bytes": length,
                "most_bytes": length * each,
                "pid": 1,
            }
            for n, length in enumerate(lengths)
        ]
        return judge({1: growing}, rows=lambda t: 1e6 * t, end={"returned_values": values}, header=header)

    for lengths in ((300 * MB,), (20 * MB,), (10 * MB, 10 * MB), (1 * MB, 300 * MB)):
        assert judged(*lengths).verdict == "inconclusive", lengths
    assert "`log0` in main, with 60.0 MB at the end before a function returned" in judged(300 * MB).summary
    assert judged(100_000, each=1024).verdict == "inconclusive"
    # So short it cannot be what came, so long no memory lets it get; and something else was given back.
    assert (
        judged(2 * MB).verdict == judged(2 << 30).verdict == judged(300 * MB, size=20 * MB).verdict == "leak"
    )


def test_a_cache_that_is_not_full_yet_may_be_all_that_grew() -> None:
    """Two blocks for each of 50,000 entries, 10 MB in all."""
    growing = grown(grown(inside(), "blocks", 100_000), "python", 10 * MB)
    cache = {"path": "lru_cache (maxsize=200000) `f`", "entries": 50_000, "bound": 200_000}

    def judged(**changed: Any) -> Result:
        return judge({1: growing}, rows=lambda t: 1e6 * t, end={"caches": [{**cache, **changed}]})

    result = judged()
    assert result.verdict == "inconclusive"
    assert "lru_cache (maxsize=200000) `f`, with 50,000 entries" in result.summary
    # It has too few entries for what came, or no memory would hold it.
    assert judged(entries=2_000).verdict == "leak"
    # Each consists of so many blocks as were counted in some, and of what links them.
    assert judged(entries=2_000, blocks_an_entry=40.0).verdict == "inconclusive"
    assert judged(entries=2_000, blocks_an_entry=1.0).verdict == "leak"
    header = {"memory_bytes": 1 << 30}
    assert judge({1: growing}, rows=lambda t: 1e6 * t, end={"caches": [cache]}, header=header).verdict == (
        "inconclusive"
    )
    # Of a traced process, whose holders' bounds are known while it runs.
    filling = held("lru_cache", "f", entries=50_000, bound=Bound(200_000, argument="maxsize"))
    traces = [traced(holders=document(filling))]
    assert judge({1: growing}, rows=lambda t: 1e6 * t, end={"traces": traces}).verdict == "inconclusive"
    cache["bound"] = 200_000_000
    assert (
        judge({1: growing}, rows=lambda t: 1e6 * t, end={"caches": [cache]}, header=header).verdict == "leak"
    )
