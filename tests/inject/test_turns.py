"""Threads that take turns: who gives way waits for the one that sleeps, and never for one that is not there."""

from __future__ import annotations

import _thread
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from hfmemdebug.inject._hfmemdebug_turns import NEVER, Turns

LONG = 60.0


@contextmanager
def readings(turns: Turns, seconds: float = LONG) -> Iterator[list[bool]]:
    """The sampler's thread: what is noted for each reading is whether somebody was told to give way then."""
    made: list[bool] = []
    turns.begin(lambda: made.append(turns.due[0] != NEVER), seconds)
    try:
        yield made
    finally:
        turns.end()


def wait_until_it_sleeps(turns: Turns) -> None:
    while turns.due[0] == NEVER:
        time.sleep(0.001)


def test_a_reading_is_made_by_the_time_that_who_gave_way_goes_on() -> None:
    turns = Turns()
    with readings(turns) as made:
        for number in range(20):
            wait_until_it_sleeps(turns)
            turns.give_way()
            # On a busy machine the wait may have ended before.
            while len(made) == number:
                time.sleep(0.001)
    assert made == [False] * 20


def test_who_gives_way_to_nobody_goes_on_and_is_not_asked_again() -> None:
    turns = Turns()
    turns.due[0] = 0.0
    turns.give_way()
    assert turns.due == [NEVER]


def test_without_anybody_who_gives_way_readings_are_made_all_the_same() -> None:
    turns = Turns()
    with readings(turns, 0.001) as made:
        while len(made) < 5:
            time.sleep(0.001)
    # By its own clock: no thread of the program's was told to give way, and none waits.
    assert set(made) == {False}
    assert turns.due == [NEVER]
    assert turns._waiting == []
    count = len(made)
    time.sleep(0.01)
    assert len(made) == count


def test_many_threads_may_give_way_at_once() -> None:
    turns = Turns()
    with readings(turns) as made, ThreadPoolExecutor(8) as pool:
        wait_until_it_sleeps(turns)
        list(pool.map(lambda _: turns.give_way(), range(200)))
        assert 1 <= len(made) <= 200
    # Nobody's lock is kept.
    assert turns._waiting == []


def test_it_begins_anew_with_nobody_waiting() -> None:
    turns = Turns()
    turns.give_way()
    with readings(turns):
        pass
    turns.give_way()
    with readings(turns) as made:
        assert turns._waiting == []
        wait_until_it_sleeps(turns)
        time.sleep(0.01)
        # The ring of before woke nobody.
        assert made == []


def test_what_the_program_puts_in_place_of_clocks_and_locks_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = Turns()

    def somebody_elses() -> None:
        raise AssertionError

    monkeypatch.setattr(time, "perf_counter", somebody_elses)
    monkeypatch.setattr(_thread, "allocate_lock", somebody_elses)
    with readings(turns, 0.001) as made:
        while not made:
            pass
        turns.give_way()
    assert turns.due == [NEVER]


def test_threads_that_begin_and_end_it_at_once_leave_one_at_most() -> None:
    turns = Turns()
    made: list[int] = []

    def begin_and_end(number: int) -> None:
        turns.begin(lambda: made.append(_thread.get_ident()), 0.001)
        if number % 2:
            turns.end()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin_and_end, range(400)))
    turns.begin(lambda: made.append(_thread.get_ident()), 0.001)
    made.clear()
    while len(made) < 20:
        time.sleep(0.001)
    turns.end()
    assert len(set(made[5:])) == 1
    count = len(made)
    time.sleep(0.02)
    assert len(made) == count
