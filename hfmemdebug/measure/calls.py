"""A function called over and over in this process, until it is known whether it leaks."""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfmemdebug.analysis.assess import EPOCH_NOISE
from hfmemdebug.analysis.verdict import assess_all, what_is_open
from hfmemdebug.measure.recorder import Recorder
from hfmemdebug.recording.end import Trace
from hfmemdebug.recording.file import load_recording

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# The first epoch warms up; a leak is convicted by three that grow alike.
EPOCHS = 5
# Calls before the recording begins: imports, caches, what a first call sets up.
UNSEEN = 20
# Where the answer is open, more epochs follow, up to so many times the calls that were asked for.
MOST = 3


# What whoever judges answers at the end of an epoch.
MORE, TRACE, END = b"m", b"t", b"e"


def measure_calls(
    call: Callable[[], Any],
    path: Path,
    ask: Callable[[], bytes],
    *,
    name: str,
    iterations: int,
    min_leak_per_call: float,
) -> None:
    """Calls a function and records the memory of this process, with sites and holders where it leaks.

    Judged is in another process: what the analysis loads and keeps would be counted here.

    Args:
        call: The function; an iterator that it returns is a pipeline, which is drained.
        path: The recording's file.
        ask: Asked at the ends of epochs, once there are enough of them: `MORE`, `TRACE` or `END`.
        name: What the arm is called.
        iterations: Calls in all; more where the answer is open then.
        min_leak_per_call: What is called a leak keeps at least so many bytes per call.
    """
    per_epoch = max(1, iterations // EPOCHS)
    for _ in range(min(per_epoch, UNSEEN)):
        drain(call())
    recorder = Recorder(path, name=name, iteration="call", min_leak=floor_of(min_leak_per_call))
    with recorder:
        epochs = 0
        answer = MORE
        while answer == MORE:
            for _ in range(per_epoch):
                drain(call())
                recorder.mark()
            recorder.end_epoch()
            epochs += 1
            if epochs >= EPOCHS:
                answer = ask()
        recorder.close(trace=_trace(call) if answer == TRACE else None)


def answer_to(path: Path) -> bytes:
    """Returns what is to be done after the epochs that a recording has so far."""
    recording = load_recording(path)
    assessed = assess_all([recording])
    if any(assessment.growing for assessment in assessed):
        return TRACE
    epochs = max(sample.epoch for sample in recording.slices)
    return END if what_is_open(assessed) is None or epochs >= MOST * EPOCHS else MORE


def floor_of(min_leak_per_call: float) -> float:
    """Growth must be above the floor, and a leak of just the limit is one.

    What an epoch's end adds of its own, a block or two, is less than half a byte per call.
    """
    return min_leak_per_call - 0.5


def calls_needed(min_leak_per_call: float) -> int:
    """Calls from which on a leak of so many bytes per call stands out from the counters' own noise."""
    return EPOCHS * math.ceil(max(EPOCH_NOISE.values()) / min_leak_per_call)


def drain(result: Any) -> None:
    """Runs a pipeline or a coroutine to its end, without keeping anything of it."""
    if isinstance(result, Iterator):
        for _ in result:
            pass
    elif isinstance(result, Coroutine):
        _loop().run_until_complete(result)
    elif isinstance(result, AsyncIterator):
        _loop().run_until_complete(_drained(result))


async def _drained(items: AsyncIterator[Any]) -> None:
    async for _ in items:
        pass


@functools.cache
def _loop() -> AbstractEventLoop:
    """One event loop for all calls: to make one for each is work, and a leak of one is not the test's."""
    import asyncio

    return asyncio.new_event_loop()


def _trace(call: Callable[[], Any]) -> Trace:
    from hfmemdebug.origin.trace import trace

    def walk() -> Iterator[None]:
        while True:
            drain(call())
            yield

    return trace(walk)
