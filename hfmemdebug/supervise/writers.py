"""Who may have put into /dev/shm what has come there: no file tells which process has made it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from hfmemdebug.recording.sample import Sample

_SHM = "/dev/shm"
_MOST_FILES = 10_000
# Less than this is no program's leak.
_NOTEWORTHY = 1 << 20
_WCHAR = re.compile(r"^wchar: (\d+)$", re.MULTILINE)


class Writers:
    """What a program's processes and the others of its user have written, and the new files in /dev/shm.

    Args:
        since: Time of day when the program began, in seconds.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._others = {pid: written for pid in _pids() if (written := _written(pid)) is not None}
        self._ours: dict[int, int] = {}
        self._least: int | None = None
        self.new_files_bytes = 0

    def look(self, samples: Sequence[Sample]) -> None:
        """Reads the counters of the program's processes, and the files: programs tidy up as they end.

        Args:
            samples: One look at the tree.
        """
        for sample in samples:
            if sample.pid is not None and (written := _written(sample.pid)) is not None:
                self._ours[sample.pid] = written
        used = samples[-1].dev_shm if samples else None
        if used is None:
            return
        self._least = used if self._least is None else min(used, self._least)
        if used - self._least >= _NOTEWORTHY:
            self.new_files_bytes = max(self.new_files_bytes, _new_files(self._since))

    @property
    def written(self) -> int | None:
        """Bytes that the program's processes have written, wherever to, as far as they were looked at."""
        return sum(self._ours.values()) if self._ours else None

    def written_by_others(self) -> int:
        """Bytes that other processes of this user have written meanwhile, and those that came since then."""
        total = 0
        for pid in _pids():
            if pid not in self._ours and pid != os.getpid() and (now := _written(pid)) is not None:
                total += max(0, now - self._others.get(pid, 0))
        return total


def _pids() -> list[int]:
    uid = os.getuid()
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdecimal() and os.stat(f"/proc/{name}").st_uid == uid:
                found.append(int(name))
    return found


def _written(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        found = _WCHAR.search(Path(f"/proc/{pid}/io").read_text())
        return int(found[1]) if found is not None else None
    return None


def _new_files(since: float) -> int:
    total = seen = 0
    for folder, _, names in os.walk(_SHM):
        for name in names:
            seen += 1
            with contextlib.suppress(OSError):
                stat = os.lstat(f"{folder}/{name}")
                if stat.st_ctime >= since and stat.st_uid == os.getuid():
                    total += stat.st_blocks * 512
        if seen > _MOST_FILES:
            break
    return total
