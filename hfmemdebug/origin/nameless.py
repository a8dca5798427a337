"""What holds memory without a name: threads that run, functions that wait for the end, cycles."""

from __future__ import annotations

import atexit
import gc
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

from hfmemdebug.origin.containers import count_types
from hfmemdebug.origin.sites import is_library


def running_threads() -> frozenset[int]:
    """Identities of the threads that run Python code now."""
    return frozenset(sys._current_frames())


def grown_threads(before: frozenset[int]) -> tuple[int, str]:
    """How many threads more there are, and where the newest of them is: ``, in `worker` (train.py:12)``."""
    now = sys._current_frames()
    new = [ident for ident in now if ident not in before]
    where = ""
    names = {thread.ident: thread for thread in threading.enumerate()}
    for ident in new[-1:]:
        frame: FrameType | None = now[ident]
        while frame is not None and is_library(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is not None:
            where = f", in `{frame.f_code.co_name}` ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
        elif ident in names:
            where = f", such as `{type(names[ident]).__qualname__}`"
    return len(now) - len(before), where


def callbacks() -> int:
    """How many functions are registered with `atexit`."""
    return atexit._ncallbacks()


def garbage_of_cycles(before: Counter[type], least: int) -> list[tuple[int, str]]:
    """Collects, and says which types there were more of than before and are not any more: count and name."""
    full = count_types()
    gc.collect()
    left = count_types()
    freed = [
        (full[kind] - max(before[kind], left[kind]), kind)
        for kind in full
        if full[kind] - max(before[kind], left[kind]) >= least
    ]
    # A class of somebody's own says more than the dictionaries in it.
    freed.sort(key=lambda pair: (pair[1].__module__ == "builtins", -pair[0]))
    return [(count, f"{kind.__module__}.{kind.__qualname__}") for count, kind in freed[:1]]
