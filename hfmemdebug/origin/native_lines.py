"""Finds the user's lines that a native leak comes from, where nothing in Python was allocated for it.

Every line of the user's own files is followed, and a counter that is exact in the process (malloc's bytes
in use, Arrow's, or anonymous memory) is read between any two: what grows by as much in each slice as the
arm leaks is the line, or the lines are that grow by as much together. Lines that allocate what is freed later
stand out by other amounts. The libraries' own code is not followed, so that what it does counts for the line
that called it.
"""

from __future__ import annotations

import itertools
import resource
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from ..leak import Site
from .sites import LEAST_SHARE, MOST_SITES, PART_SECONDS, is_library, make_site

# A line is the leak's where its growth differs from the arm's rate by at most this share of it.
CLOSE = 0.25
# Several lines together come that close by chance sooner than one does.
CLOSE_TOGETHER = 0.1
# More lines than these that grow cannot be told from each other by what they add up to.
MOST_LINES = 12
# A program of many lines is slow to follow.
MOST_SECONDS = 4 * PART_SECONDS

Line = tuple[str, int]


def find_native_lines(
    walk: Callable[[], Iterator[None]],
    read: Callable[[], int | None],
    rate: float,
    slices: int,
    *,
    bytes_each: int | None = None,
) -> list[Site]:
    """Finds the lines that leak.

    Args:
        walk: Reads slices from the first one on and hands each to the consumer, as it is iterated over.
        read: The counter that grows, in bytes, or in things.
        rate: By how much the arm grows per slice.
        slices: How many to read at most.
        bytes_each: Of things, what each of them holds; None for a counter of bytes.

    Returns:
        Sites of kind ``native``, the largest first; none where no lines stand out.
    """
    # malloc counts the free blocks that it keeps at hand as used: they are used up first.
    deque(itertools.islice(walk(), slices), maxlen=0)
    growth, followed = _follow(walk, read, slices)
    per_slice = {line: grown / max(followed, 1) for line, grown in growth.items()}
    return [
        make_site(
            line,
            per_slice[line] * (bytes_each or 1),
            per_slice[line] if bytes_each else None,
            per_slice[line] / rate,
            kind="native",
        )
        for line in lines_of(per_slice, rate)
    ]


def mapped_bytes() -> int | None:
    """Reads what private memory is mapped, touched or not: that grows at the line that maps it (proc_pid_statm(5))."""
    try:
        fields = Path("/proc/self/statm").read_bytes().split()
    except OSError:
        return None
    return int(fields[5]) * resource.getpagesize()


def lines_of(per_slice: dict[Line, float], rate: float) -> list[Line]:
    """Returns the lines that leak, of those that grow and shrink.

    The growth of all lines adds up to the rate, whatever is freed where. One line that grows by the rate is
    it. Else it is the fewest that make the rate together while the other ones free what they allocate; where
    that can be said of different lines, it is not known.
    """
    alone = [line for line, grown in per_slice.items() if abs(grown - rate) <= CLOSE * rate]
    if alone:
        return alone if len(alone) == 1 else []
    rising = {line: grown for line, grown in per_slice.items() if grown >= LEAST_SHARE * rate}
    if len(rising) > MOST_LINES:
        return []
    for number in range(2, min(len(rising), MOST_SITES) + 1):
        sets = [
            lines
            for lines in itertools.combinations(rising, number)
            if abs(sum(rising[line] for line in lines) - rate) <= CLOSE_TOGETHER * rate
        ]
        if sets:
            return sorted(sets[0], key=lambda line: -rising[line]) if len(sets) == 1 else []
    return []


def _follow(
    walk: Callable[[], Iterator[None]], read: Callable[[], int | None], slices: int
) -> tuple[Counter[Line], int]:
    """Returns growth by line of the user's over slices that were followed whole, in this thread, and their number."""
    growth: Counter[Line] = Counter()
    # The user's lines that are being executed, the innermost last.
    stack: list[Line] = []
    users: dict[str, bool] = {}
    last = 0
    thread = threading.get_ident()
    until = time.monotonic() + MOST_SECONDS

    def settle_up() -> None:
        nonlocal last
        now = read() or 0
        if stack:
            growth[stack[-1]] += now - last
        last = now

    def follow(frame: FrameType, event: str, _: Any) -> Any:
        if event != "return" and time.monotonic() > until:
            # In the middle of a slice that would take minutes: it is not counted.
            sys.settrace(None)
            return None
        if event == "call":
            file = frame.f_code.co_filename
            if file not in users:
                users[file] = not is_library(file)
            if not users[file] or threading.get_ident() != thread:
                return None
            settle_up()
            stack.append((file, frame.f_lineno))
        elif event == "line":
            settle_up()
            stack[-1] = (frame.f_code.co_filename, frame.f_lineno)
        elif event == "return":
            settle_up()
            stack.pop()
        return follow

    whole: Counter[Line] = Counter()
    followed = 0
    before = sys.gettrace()
    sys.settrace(follow)
    try:
        for _ in itertools.islice(walk(), slices):
            if time.monotonic() > until:
                break
            followed += 1
            whole = growth.copy()
    finally:
        sys.settrace(before)
    return whole, followed
