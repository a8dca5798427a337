"""The sampler's thread: a thread of the program waits for the one that sleeps, and never for one that is not there."""

from __future__ import annotations

import _thread
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from hfmemdebug.inject._hfmemdebug_thread import NEVER, SamplerThread

LONG = 60.0


@contextmanager
def readings(thread: SamplerThread, seconds: float = LONG) -> Iterator[list[bool]]:
    """The sampler's thread: what is noted for each reading is whether somebody was told to give way then."""
    made: list[bool] = []
    thread.begin(lambda: made.append(thread.due[0] != NEVER), seconds)
    try:
        yield made
    finally:
        thread.end()


def wait_until_it_sleeps(thread: SamplerThread) -> None:
    while thread.due[0] == NEVER:
        time.sleep(0.001)


def test_a_reading_is_made_by_the_time_that_who_gave_way_goes_on() -> None:
    thread = SamplerThread()
    with readings(thread) as made:
        for number in range(20):
            wait_until_it_sleeps(thread)
            thread.wait_for_sample()
            # On a busy machine the wait may have ended before.
            while len(made) == number:
                time.sleep(0.001)
    assert made == [False] * 20


def test_who_gives_way_to_nobody_goes_on_and_is_not_asked_again() -> None:
    thread = SamplerThread()
    thread.due[0] = 0.0
    thread.wait_for_sample()
    assert thread.due == [NEVER]


def test_without_anybody_who_gives_way_readings_are_made_all_the_same() -> None:
    thread = SamplerThread()
    with readings(thread, 0.001) as made:
        while len(made) < 5:
            time.sleep(0.001)
    # By its own clock: no thread of the program's was told to give way, and none waits.
    assert set(made) == {False}
    assert thread.due == [NEVER]
    assert thread._waiting == []
    count = len(made)
    time.sleep(0.01)
    assert len(made) == count


def test_many_threads_may_wait_for_sample_at_once() -> None:
    thread = SamplerThread()
    with readings(thread) as made, ThreadPoolExecutor(8) as pool:
        wait_until_it_sleeps(thread)
        list(pool.map(lambda _: thread.wait_for_sample(), range(200)))
        assert 1 <= len(made) <= 200
    # Nobody's lock is kept.
    assert thread._waiting == []


def test_it_begins_anew_with_nobody_waiting() -> None:
    thread = SamplerThread()
    thread.wait_for_sample()
    with readings(thread):
        pass
    thread.wait_for_sample()
    with readings(thread) as made:
        assert thread._waiting == []
        wait_until_it_sleeps(thread)
        time.sleep(0.01)
        # The ring of before woke nobody.
        assert made == []


def test_what_the_program_puts_in_place_of_clocks_and_locks_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thread = SamplerThread()

    def somebody_elses() -> None:
        raise AssertionError

    monkeypatch.setattr(time, "perf_counter", somebody_elses)
    monkeypatch.setattr(_thread, "allocate_lock", somebody_elses)
    with readings(thread, 0.001) as made:
        while not made:
            pass
        thread.wait_for_sample()
    assert thread.due == [NEVER]


def test_threads_that_begin_and_end_it_at_once_leave_one_at_most() -> None:
    thread = SamplerThread()
    made: list[int] = []

    def begin_and_end(number: int) -> None:
        thread.begin(lambda: made.append(_thread.get_ident()), 0.001)
        if number % 2:
            thread.end()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin_and_end, range(400)))
    thread.begin(lambda: made.append(_thread.get_ident()), 0.001)
    made.clear()
    while len(made) < 20:
        time.sleep(0.001)
    thread.end()
    assert len(set(made[5:])) == 1
    count = len(made)
    time.sleep(0.02)
    assert len(made) == count
