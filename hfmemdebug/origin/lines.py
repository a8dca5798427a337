"""Which of the user's lines a native leak comes from, where nothing in Python was allocated for it.

Every line of the user's own files is followed, and a counter that is exact in the process (malloc's bytes
in use, Arrow's, or anonymous memory) is read between any two: what grows by as much in each slice as the
arm leaks is the line. Lines that allocate what is freed later stand out by other amounts. The libraries' own
code is not followed, so that what it does counts for the line that called it.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from hfmemdebug.origin.sites import MOST_SLICES, function_at, is_library

# A line is the leak's where its growth differs from the arm's rate by at most this share of it.
CLOSE = 0.25

Line = tuple[str, int]


def find_native_lines(
    walk: Callable[[], Iterator[None]], read: Callable[[], int | None], rate: float
) -> list[dict[str, Any]]:
    """Finds the line that leaks, if one line does.

    Args:
        walk: Reads slices from the first one on and hands each to the consumer, as it is iterated over.
        read: The counter that grows, in bytes.
        rate: By how much the arm grows per slice, in bytes.

    Returns:
        Sites as the result document has them, of kind ``native``: one, or none where no line stands out.
    """
    deque(itertools.islice(walk(), MOST_SLICES), maxlen=0)
    growth = _follow(walk, read, MOST_SLICES)
    lines = [
        (line, grown / MOST_SLICES)
        for line, grown in growth.items()
        if abs(grown / MOST_SLICES - rate) <= CLOSE * rate
    ]
    if len(lines) != 1:
        return []
    (file, number), per_slice = lines[0]
    return [
        {
            "file": file,
            "line": number,
            "function": function_at(file, number),
            "kind": "native",
            "bytes_per_iteration": round(per_slice, 1),
            "count_per_iteration": None,
            "share": round(min(per_slice / rate, 1.0), 3),
            "in_library": False,
        }
    ]


def _follow(walk: Callable[[], Iterator[None]], read: Callable[[], int | None], slices: int) -> Counter[Line]:
    """Growth by line of the user's, summed over the slices, in this thread."""
    growth: Counter[Line] = Counter()
    # The user's lines that are being executed, the innermost last.
    stack: list[Line] = []
    users: dict[str, bool] = {}
    last = 0
    thread = threading.get_ident()

    def settle_up() -> None:
        nonlocal last
        now = read() or 0
        if stack:
            growth[stack[-1]] += now - last
        last = now

    def follow(frame: FrameType, event: str, _: Any) -> Any:
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

    before = sys.gettrace()
    sys.settrace(follow)
    try:
        deque(itertools.islice(walk(), slices), maxlen=0)
    finally:
        sys.settrace(before)
    return growth
