"""How much memory the shared segments have that a program has made and not unlinked, by their names.

/dev/shm is everybody's: what others put there and take away hides a leak of the program's own.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

_SHM = "/dev/shm"
# From one sum to the next, in seconds and in times of what one costs: each segment is asked for.
_PAUSE = 0.5
_COSTS = 200


class Segments:
    """The segments of one program.

    Args:
        pages: The folder in which its samplers note the names, as they are made.
        clock: Seconds, monotonic.
    """

    def __init__(self, pages: Path, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._path = pages / "segments"
        self._clock = clock
        self._read = 0
        self._living: set[str] = set()
        self._due = 0.0
        self._size: int | None = None
        self.most = 0

    def size(self) -> int | None:
        """Bytes in them, as of half a second ago at most where they are few; None where none was ever made."""
        began = self._clock()
        if began >= self._due:
            self._look()
            self._due = began + max(_PAUSE, _COSTS * (self._clock() - began))
        return self._size

    def _look(self) -> None:
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            file.seek(self._read)
            # A line is written at once.
            new = file.read()
            self._read += len(new)
            self._living.update(new.decode().split())
        if not self._read:
            return
        self._size = 0
        for name in list(self._living):
            try:
                self._size += os.stat(f"{_SHM}/{name}").st_blocks * 512
            except OSError:
                self._living.discard(name)
        self.most = max(self.most, self._size)
