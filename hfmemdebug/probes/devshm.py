"""Files that are memory, mapped or not: those that come up in ``/dev/shm``, and memfd_create(2)'s."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Set
from mmap import PAGESIZE
from pathlib import Path

from hfmemdebug.probes.children import descendants

FOLDER = "/dev/shm"
# A program that leaves more files than this has been told on long before.
_MOST = 20_000


class NewFiles:
    """What this user has put into ``/dev/shm`` since this was made, and what this process has in memfds.

    Files that another program holds, and this process and its children do not, are not counted. What nobody has open
    or mapped when it is first seen may be another program's, and counts.

    Args:
        folder: Where shared memory has its names.
    """

    def __init__(self, folder: str = FOLDER) -> None:
        self._folder = folder
        # Those of others.
        self._known = {entry.inode() for entry in _files(folder)}
        # Those of ours, and those of which nobody knows.
        self._seen: set[int] = set()

    def size(self, *, written: bool = True) -> int | None:
        """Bytes of memory that those files take; None where there is no such folder.

        Args:
            written: False counts pages that were not written yet as well: they show where a file was made.
        """
        if not Path(self._folder).is_dir():
            return None
        user = os.geteuid()
        found: dict[int, os.stat_result] = {}
        for entry in _files(self._folder):
            # It may be removed meanwhile.
            with contextlib.suppress(OSError):
                stat = entry.stat(follow_symlinks=False)
                if stat.st_uid == user and stat.st_ino not in self._known:
                    found[stat.st_ino] = stat
        # While lines are looked for this is asked at each of them, and who holds what takes long to find out.
        if written and (new := found.keys() - self._seen):
            self._known |= _held_by_others(new, self._folder)
            self._seen |= new - self._known
        total = sum(_bytes_of(stat, written) for inode, stat in found.items() if inode not in self._known)
        return total + _in_memfds(written)


def _held_by_others(inodes: Set[int], folder: str) -> set[int]:
    """Which of some files other processes than this one and its children have open or mapped, and these have not."""
    ours: set[int] = set()
    theirs: set[int] = set()
    family = {os.getpid(), *descendants()}
    for name in os.listdir("/proc"):
        if name.isdigit():
            held = inodes & _held_by(int(name), folder)
            if int(name) in family:
                ours |= held
            else:
                theirs |= held
    return theirs - ours


def _held_by(pid: int, folder: str) -> set[int]:
    """Inodes of the files below a folder that a process has open or mapped; none where it cannot be looked at."""
    found: set[int] = set()
    # A process may end between any two lines.
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/maps").read_bytes().splitlines():
            if f" {folder}/".encode() in line:
                found.add(int(line.split(maxsplit=5)[4]))
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if str(Path(f"/proc/{pid}/fd/{fd}").readlink()).startswith(f"{folder}/"):
                    found.add(Path(f"/proc/{pid}/fd/{fd}").stat().st_ino)
    return found


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
