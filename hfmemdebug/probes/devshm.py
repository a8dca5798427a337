"""Files that are memory, mapped or not: those that come up in ``/dev/shm``, and memfd_create(2)'s."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from mmap import PAGESIZE
from pathlib import Path

FOLDER = "/dev/shm"
# A program that leaves more files than this has been told on long before.
_MOST = 20_000


class NewFiles:
    """What this user has put into ``/dev/shm`` since this was made, and what this process has in memfds.

    Other programs of the user's count too in ``/dev/shm``.

    Args:
        folder: Where shared memory has its names.
    """

    def __init__(self, folder: str = FOLDER) -> None:
        self._folder = folder
        self._known = {entry.inode() for entry in _files(folder)}

    def size(self, *, written: bool = True) -> int | None:
        """Bytes of memory that those files take; None where there is no such folder.

        Args:
            written: False counts pages that were not written yet as well: they show where a file was made.
        """
        if not Path(self._folder).is_dir():
            return None
        user, total = os.geteuid(), 0
        for entry in _files(self._folder):
            if entry.inode() in self._known:
                continue
            try:
                stat = entry.stat(follow_symlinks=False)
            except OSError:
                # Removed meanwhile.
                continue
            if stat.st_uid == user:
                total += _bytes_of(stat, written)
        return total + _in_memfds(written)


def _bytes_of(stat: os.stat_result, written: bool) -> int:
    return stat.st_blocks * 512 if written else -(-stat.st_size // PAGESIZE) * PAGESIZE


def _in_memfds(written: bool) -> int:
    """Bytes of memory behind this process's descriptors of memfd_create(2), each file once."""
    found: dict[int, int] = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if str(Path(f"/proc/self/fd/{fd}").readlink()).startswith("/memfd:"):
                stat = os.fstat(int(fd))
                found[stat.st_ino] = _bytes_of(stat, written)
    return sum(found.values())


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    waiting, seen = [folder], 0
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            seen += 1
            if seen > _MOST:
                return
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                yield entry
