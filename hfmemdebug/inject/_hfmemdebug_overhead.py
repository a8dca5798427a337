"""Estimates what `tracemalloc` itself has asked malloc for, so that a watched program's malloc can be told without it.

`tracemalloc.get_tracemalloc_memory` counts its tables and their entries, but neither the record of each trace nor
the tracebacks, nor what malloc rounds up: of three bytes it tells one, and what it leaves out grows with every
object that the program keeps. The number of traces follows from the size of their table.
"""

from __future__ import annotations

import sys
import tracemalloc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# Of CPython's tables (Python/hashtable.c): a bucket, an entry, and how full they may be.
_BUCKET = 8
_SMALLEST, _FULLEST, _EMPTIEST = 16, 0.5, 0.1
# Until 3.8 a trace lies in its entry; since then it is a block of its own.
_ENTRY, _TRACE = (40, 0) if sys.version_info < (3, 9) else (32, 16)
# A traceback: its hash and its lengths, and a name and a line, packed, for each frame.
_TRACEBACK, _FRAME = 12, 12


def _chunk(size: int) -> int:
    """Returns what glibc's malloc takes for so many bytes."""
    return max(32, (size + 8 + 15) // 16 * 16)


_ENTRY_MORE = _chunk(_ENTRY) - _ENTRY
_TRACE_MORE = _ENTRY_MORE + (_chunk(_TRACE) if _TRACE else 0)


class Overhead:
    """Malloc's bytes that tracing has in use.

    What is known of the tracebacks is as of the last look: they become more as long as code runs that is new.
    """

    def __init__(self) -> None:
        # Of the tables beside the traces', and what of the tracebacks no table counts.
        self.tables = self.uncounted = 0
        self.buckets = 0

    def bytes(self) -> int:
        """Returns malloc's bytes that tracing has in use now."""
        if not tracemalloc.is_tracing():
            self.tables = self.uncounted = self.buckets = 0
            return 0
        memory = tracemalloc.get_tracemalloc_memory()
        traces, self.buckets = _entries(max(0, memory - self.tables), self.buckets)
        return int(memory + traces * _TRACE_MORE + self.uncounted)

    def learn(self, memory: int, traces: int, tracebacks: Iterable[tuple[Any, ...]]) -> None:
        """Takes in what a snapshot has shown.

        Args:
            memory: What `tracemalloc` said of its own memory just before.
            traces: How many there are.
            tracebacks: Those of the living traces, each once.
        """
        lengths = [len(frames) for frames in tracebacks]
        if not lengths:
            return
        # The largest table that leaves room for the tracebacks' own.
        rest = memory - (traces + len(lengths)) * _ENTRY
        fitting = [size for size in _sizes(traces) if size * _BUCKET <= rest]
        self.buckets = max(fitting, default=_SMALLEST)
        self.tables = max(0, memory - traces * _ENTRY - self.buckets * _BUCKET)
        # Those whose traces are gone are kept too.
        kept = max(len(lengths), _entries(self.tables, 0)[0])
        mean = sum(map(_traceback_chunk, lengths)) / len(lengths)
        self.uncounted = int(kept * (mean + _ENTRY_MORE))


def _traceback_chunk(frames: int) -> int:
    return _chunk(_TRACEBACK + frames * _FRAME)


def _entries(size: int, before: int) -> tuple[float, int]:
    """Returns how many entries a table of a size has, and how many buckets.

    Args:
        size: Bytes of buckets and entries.
        before: How many buckets it had when it was last looked at: now and then two answers are possible.
    """
    found: list[tuple[float, int]] = []
    buckets = _SMALLEST
    while buckets * _BUCKET <= size:
        entries = (size - buckets * _BUCKET) / _ENTRY
        if _fits(entries, buckets):
            found.append((entries, buckets))
        buckets *= 2
    if not found:
        return 0.0, 0
    # A table that has just been made larger is a quarter full.
    return next((each for each in found if each[1] == before), found[0])


def _sizes(entries: int) -> list[int]:
    """How many buckets a table with so many entries may have."""
    return [1 << power for power in range(4, 40) if _fits(entries, 1 << power)]


def _fits(entries: float, buckets: int) -> bool:
    return entries <= _FULLEST * buckets and (entries >= _EMPTIEST * buckets or buckets == _SMALLEST)
