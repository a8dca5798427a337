"""Paths to what runs: the local variables of other threads, traced by somebody or not."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

import pytest

from hfmemdebug.leak import Root
from hfmemdebug.origin.paths import path_to


def count(below: int) -> int:
    return sum(range(below))


@pytest.mark.parametrize("traced", [False, True])
def test_a_variable_of_a_thread_that_runs(traced: bool) -> None:
    kept: list[Any] = []
    lost: list[int] = []
    begun, ended = threading.Event(), threading.Event()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        return trace

    def work() -> None:
        # As under a debugger, or coverage in Python.
        sys.settrace(trace if traced else None)
        follow()

    def follow() -> None:
        history = [0] * 100
        number = 0
        kept.append(history)
        begun.set()
        while not ended.is_set():
            before = number
            number += 1
            history[number % 100] = count(20)
            if number != before + 1 or len(history) != 100:
                lost.append(number)

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    try:
        assert begun.wait(10)
        for _ in range(5):
            path = path_to(kept[0], skip=(kept,))
            assert thread.is_alive()
            if traced:
                # To read them would change them.
                assert path is None
                continue
            assert path is not None
            assert (path.root, path.steps, path.type) == (
                Root("thread", "worker", "history", "follow"),
                (),
                "list",
            )
    finally:
        ended.set()
        thread.join()
    # Reading them has changed none.
    assert not lost


def test_a_variable_that_an_inner_function_uses_is_the_outer_ones() -> None:
    begun, ended = threading.Event(), threading.Event()
    kept: list[Any] = []

    def outer() -> None:
        history = [0] * 100

        def note() -> None:
            history.append(1)
            kept.append(history)
            begun.set()
            ended.wait(10)

        note()

    thread = threading.Thread(target=outer, name="worker")
    thread.start()
    try:
        assert begun.wait(10)
        path = path_to(kept[0], skip=(kept,))
    finally:
        ended.set()
        thread.join()
    assert path is not None
    assert (path.root, path.steps, path.type) == (Root("thread", "worker", "history", "outer"), (), "list")
