"""Files that come up in ``/dev/shm``: shared memory that outlives its last mapping, and its process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

FOLDER = "/dev/shm"
# A program that leaves more files than this has been told on long before.
_MOST = 20_000


class NewFiles:
    """What this user has put into ``/dev/shm`` since this was made. Other programs of the user's count too.

    Args:
        folder: Where shared memory has its names.
    """

    def __init__(self, folder: str = FOLDER) -> None:
        self._folder = folder
        self._known = {entry.inode() for entry in _files(folder)}

    def size(self) -> int | None:
        """Bytes of memory that those files take; None where there is no such folder."""
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
                total += stat.st_blocks * 512
        return total


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
