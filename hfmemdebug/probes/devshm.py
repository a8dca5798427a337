"""Measures files that are memory, mapped or not: those in ``/dev/shm``, and memfd_create(2)'s."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Set
from mmap import PAGESIZE
from pathlib import Path

from hfmemdebug.probes.maps import parse_maps
from hfmemdebug.probes.process_table import descendants, open_files

FOLDER = "/dev/shm"
_MEMFD = "/memfd:"
# Device and inode: each mount numbers its own.
_File = tuple[int, int]
# A program that leaves more files than this has been told on long before.
_MOST = 20_000


class NewFiles:
    """Measures what this user has put into ``/dev/shm`` since this was made, and what this process has in memfds.

    Files that another program holds, and this process and its children do not, are not counted. A file that no
    process has open or mapped when it is first seen may be another program's, and counts.

    Args:
        folder: Where shared memory has its names.
    """

    def __init__(self, folder: str = FOLDER) -> None:
        self._folder = folder
        # Other programs'.
        self._known = _Marks()
        for _, file in files_below(folder):
            self._known.add(file)
        # Ours, and those that no process was seen to hold.
        self._seen = _Marks()

    def size(self, *, written: bool = True) -> int | None:
        """Sums the memory that those files take, in bytes; None where there is no such folder.

        Args:
            written: False counts pages that were not written yet as well: they show where a file was made.
        """
        if not Path(self._folder).is_dir():
            return None
        user, total = os.geteuid(), 0
        # Made anew at each reading, so that what is gone is forgotten. One file at a time: what is alive at once would
        # stay in the interpreter's free lists.
        known, seen = _Marks(), _Marks()
        new: list[tuple[_File, int]] = []
        for stat, file in files_below(self._folder):
            if file in self._known:
                known.add(file)
            elif stat.st_uid == user:
                size = _bytes_of(stat, written)
                # While lines are looked for this is asked at each of them, and who holds what takes long to find out.
                if written and file not in self._seen:
                    new.append((file, size))
                else:
                    seen.add(file)
                    total += size
        if written:
            theirs = _held_by_others({file for file, _ in new}, self._folder) if new else ()
            for file, size in new:
                (known if file in theirs else seen).add(file)
                total += 0 if file in theirs else size
            self._known, self._seen = known, seen
        return total + _in_memfds(written)


class _Marks:
    """Files, in memory that does not grow with their number: the process that asks is being measured.

    One in some hundred thousand is taken for another one.
    """

    def __init__(self) -> None:
        self._bits = bytearray(1 << 16)

    def add(self, file: _File) -> None:
        """Marks a file."""
        place = hash(file) % (8 * len(self._bits))
        self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, file: _File) -> bool:
        place = hash(file) % (8 * len(self._bits))
        return bool(self._bits[place >> 3] >> (place & 7) & 1)


def used() -> int | None:
    """Reads the bytes used in /dev/shm by all programs, files without a name included."""
    try:
        shm = os.statvfs(FOLDER)
    except OSError:
        return None
    return (shm.f_blocks - shm.f_bfree) * shm.f_frsize


def files_below(folder: str) -> Iterator[tuple[os.stat_result, _File]]:
    """Yields the files in a folder and those below it, each with what tells it from others."""
    seen = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            # It may be removed meanwhile.
            with contextlib.suppress(OSError):
                stat = os.lstat(f"{parent}/{name}")
                yield stat, (stat.st_dev, stat.st_ino)
            seen += 1
            if seen > _MOST:
                return


def _held_by_others(files: Set[_File], folder: str) -> set[_File]:
    """Selects the files that processes other than this one and its children have open or mapped, and these have not."""
    family = {os.getpid(), *descendants(os.getpid())}
    left = files - {file for pid in family for file in _held_by(pid, folder)}
    found: set[_File] = set()
    for name in os.listdir("/proc") if left else ():
        if name.isdigit() and int(name) not in family:
            found |= left & _held_by(int(name), folder)
    return found


def _held_by(pid: int, folder: str) -> set[_File]:
    """Finds the files below a folder that a process has open or mapped; none where it may not be looked at."""
    found: set[_File] = set()
    # A process may end between any two lines.
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/maps").read_bytes()
        if f" {folder}/".encode() in text:
            mapped = (m for m in parse_maps(text) if m.path.startswith(f"{folder}/"))
            found.update((mapping.device, mapping.inode) for mapping in mapped)
    for _, stat in _open_below(pid, (f"{folder}/",)):
        found.add((stat.st_dev, stat.st_ino))
    return found


def shared_memory_of(pid: int | str) -> Iterator[tuple[str, os.stat_result]]:
    """Yields the files in memory that a process holds open, also those that have no name any more.

    Tensors travel between workers as such descriptors: nothing of them is listed in /dev/shm.
    """
    return _open_below(pid, (f"{FOLDER}/", _MEMFD))


def _open_below(pid: int | str, prefixes: tuple[str, ...]) -> Iterator[tuple[str, os.stat_result]]:
    for descriptor, path in open_files(pid):
        if path.startswith(prefixes):
            with contextlib.suppress(OSError):
                yield path, os.stat(descriptor)


def _bytes_of(stat: os.stat_result, written: bool) -> int:
    return stat.st_blocks * 512 if written else -(-stat.st_size // PAGESIZE) * PAGESIZE


def _in_memfds(written: bool) -> int:
    """Sums the memory behind this process's descriptors of memfd_create(2), each file once."""
    found = {stat.st_ino: _bytes_of(stat, written) for _, stat in _open_below("self", (_MEMFD,))}
    return sum(found.values())
