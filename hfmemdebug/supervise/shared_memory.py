"""Attributes memory in /dev/shm to a program: its segments by their names, other new files by what was written.

All programs put files there: what others put there and take away hides a leak of the program's own. No file tells
which process has made it. The sampler inside a program notes the names of the segments that it makes; PyTorch's carry
the number of their maker. Of the rest only an upper bound is known: a process cannot have filled more than it has
written (``wchar`` of ``/proc/PID/io``), though it may have written elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from hfmemdebug.probes.devshm import FOLDER, files_below
from hfmemdebug.recording.end import SegmentLine
from hfmemdebug.recording.sample import TreeSample

# Less than this is no program's leak.
_NOTEWORTHY = 1 << 20
# PyTorch's own name who has made them.
_OF_TORCH = re.compile(r"torch_(\d+)_")
_WCHAR = re.compile(rb"^wchar: (\d+)$", re.MULTILINE)
# From one sum to the next, in seconds and in times of what one costs: each segment is asked for.
_PAUSE = 0.5
_COSTS = 200


class Segments:
    """Measures the segments that one program has made and not unlinked.

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
        """Sums the bytes in them, as of half a second ago at most where they are few; None where none was ever made.

        Args:
            pids: The processes of the program that live now.
        """
        began = self._clock()
        self._makers.update(pids)
        if began >= self._due:
            self._update()
            self._due = began + max(_PAUSE, _COSTS * (self._clock() - began))
        return self._size

    def _update(self) -> None:
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            file.seek(self._read)
            # A line is written at once.
            new = file.read()
            self._read += len(new)
            self._living.update(map(_parsed, new.decode(errors="surrogateescape").splitlines()))
        with contextlib.suppress(OSError):
            for name in os.listdir(FOLDER):
                made = _OF_TORCH.match(name)
                if made is not None and int(made[1]) in self._makers:
                    self._living.setdefault(name)
        if not self._living and self._size is None:
            return
        self._size = self.reserved = 0
        by_line: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        for name, place in list(self._living.items()):
            try:
                segment = os.stat(f"{FOLDER}/{name}")
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
        from hfmemdebug.origin.source import function_at

        return tuple(
            SegmentLine(file, line, function_at(file, line), size, count)
            for (file, line), (size, count) in self._by_line.items()
        )


class Writers:
    """Reads how much a program's processes and others of its user have written, and the new files in /dev/shm.

    Args:
        since: Time of day when the program began, in seconds.

    Attributes:
        new_files_bytes: Bytes in files of this user that came since then, when there were most.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._others = _written(psutil.pids())
        self._ours: dict[int, int] = {}
        self._least: int | None = None
        self.new_files_bytes = 0

    def update(self, tree: TreeSample) -> None:
        """Reads the counters of the program's processes, and the files: programs tidy up as they end.

        Args:
            tree: A sample of it.
        """
        self._ours |= _written(process.pid for process in tree.processes)
        used = tree.dev_shm
        if used is None:
            return
        self._least = used if self._least is None else min(used, self._least)
        if used - self._least >= _NOTEWORTHY:
            self.new_files_bytes = max(self.new_files_bytes, self._new_files())

    @property
    def written(self) -> int | None:
        """Sums the bytes that the program's processes have written, wherever to, as far as they were read."""
        return sum(self._ours.values()) if self._ours else None

    def written_by_others(self) -> int:
        """Sums the bytes that other processes of this user have written since the program began."""
        others = _written(pid for pid in psutil.pids() if pid not in self._ours and pid != os.getpid())
        return sum(max(0, now - self._others.get(pid, 0)) for pid, now in others.items())

    def _new_files(self) -> int:
        stats = (stat for stat, _ in files_below(FOLDER))
        return sum(
            stat.st_blocks * 512
            for stat in stats
            if stat.st_ctime >= self._since and stat.st_uid == os.getuid()
        )


def _written(pids: Iterable[int]) -> dict[int, int]:
    """Reads what processes of this user have written in all, by PID; of others it may not be read."""
    found: dict[int, int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == os.getuid():
                wchar = _WCHAR.search(Path(f"/proc/{pid}/io").read_bytes())
                found |= {pid: int(wchar[1])} if wchar is not None else {}
    return found


def _parsed(line: str) -> tuple[str, tuple[str, int] | None]:
    name, _, place = line.partition("\t")
    file, _, number = place.rpartition("\t")
    return name, (file, int(number)) if number.isdigit() else None
