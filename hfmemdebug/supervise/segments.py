"""How much memory the shared segments have that a program has made and not unlinked, by their names.

/dev/shm is everybody's: what others put there and take away hides a leak of the program's own.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from hfmemdebug.recording.end import SegmentLine

_SHM = "/dev/shm"
# PyTorch's own name who has made them.
_OF_TORCH = re.compile(r"torch_(\d+)_")
# From one sum to the next, in seconds and in times of what one costs: each segment is asked for.
_PAUSE = 0.5
_COSTS = 200


class Segments:
    """The segments of one program.

    Args:
        pages: The folder in which its samplers note the names as they are made, and the lines that make them.
        clock: Seconds, monotonic.

    Attributes:
        most: Bytes in them when there were most.
        reserved: Bytes that they may come to, as of the last sum; None where none was ever made.
    """

    def __init__(self, pages: Path, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._path = pages / "segments"
        self._clock = clock
        self._read = 0
        # By name: the file and line that made it, where a line of the program's is known.
        self._living: dict[str, tuple[str, int] | None] = {}
        self._makers: set[int] = set()
        self._due = 0.0
        self._size: int | None = None
        self.reserved: int | None = None
        self.most = 0
        # Bytes and segments by line, then.
        self._by_line: dict[tuple[str, int], list[int]] = {}

    def size(self, pids: Iterable[int]) -> int | None:
        """Bytes in them, as of half a second ago at most where they are few; None where none was ever made.

        Args:
            pids: The processes of the program that live now.
        """
        began = self._clock()
        self._makers.update(pids)
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
            self._living.update(map(_parsed, new.decode(errors="surrogateescape").splitlines()))
        with contextlib.suppress(OSError):
            for name in os.listdir(_SHM):
                made = _OF_TORCH.match(name)
                if made is not None and int(made[1]) in self._makers:
                    self._living.setdefault(name)
        if not self._living and self._size is None:
            return
        self._size = self.reserved = 0
        by_line: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        for name, place in list(self._living.items()):
            try:
                segment = os.stat(f"{_SHM}/{name}")
            except OSError:
                del self._living[name]
                continue
            size = segment.st_blocks * 512
            self._size += size
            self.reserved += segment.st_size
            if place is not None:
                by_line[place][0] += size
                by_line[place][1] += 1
        if self._size > self.most:
            self.most, self._by_line = self._size, by_line

    def by_line(self) -> tuple[SegmentLine, ...]:
        """Returns what each line of the program had made when there were most."""
        # What reads source takes milliseconds to import, and is not needed before the program has ended.
        from hfmemdebug.origin.sites import function_at

        return tuple(
            SegmentLine(file, line, function_at(file, line), size, count)
            for (file, line), (size, count) in self._by_line.items()
        )


def _parsed(line: str) -> tuple[str, tuple[str, int] | None]:
    name, _, place = line.partition("\t")
    file, _, number = place.rpartition("\t")
    return name, (file, int(number)) if number.isdigit() else None
