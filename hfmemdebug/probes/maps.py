"""Parses ``/proc/PID/maps``, ``smaps`` and ``smaps_rollup``: memory by mapping, by file and in all.

The three have one layout (proc_pid_smaps(5)): a header line for each mapping, in the last two followed by sizes.
Reading sizes walks the page tables, about 20 ms for each resident GB; ``smaps`` costs hardly more than its sum and
says which files are behind the pages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

_FIELD = {
    b"Rss": "rss",
    b"Pss": "pss",
    b"Pss_Anon": "pss_anon",
    b"Pss_File": "pss_file",
    b"Pss_Shmem": "pss_shmem",
    b"Shared_Clean": "shared",
    b"Shared_Dirty": "shared",
    b"Private_Dirty": "private_dirty",
    b"Anonymous": "anonymous",
    b"LazyFree": "lazy_free",
    b"Locked": "locked",
    b"Swap": "swap",
    b"SwapPss": "swap_pss",
}
_LINE = re.compile(
    rb"^(?:([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)|(%s): +(\d+) kB)$"
    % b"|".join(_FIELD)
)


@dataclass(slots=True)
class Memory:
    """Bytes of a process, a mapping or a file; what the kernel does not tell is None.

    Attributes:
        rss: Resident.
        pss: Resident, each page divided by the number of processes that map it: sums over processes.
        pss_anon: The anonymous part of ``pss``.
        pss_file: Its part of mapped files.
        pss_shmem: Its part of shared memory and tmpfs.
        shared: Resident pages that another process maps too.
        private_dirty: Written pages that no other process maps, page cache not yet written back included.
        anonymous: Anonymous pages, private copies of a file's pages included.
        lazy_free: Anonymous pages that were freed and wait for the kernel to take them (MADV_FREE).
        locked: Pages that are locked in memory, as a part of ``pss``.
        swap: Swapped out.
        swap_pss: Swapped out, divided as ``pss`` is.
    """

    rss: int | None = None
    pss: int | None = None
    pss_anon: int | None = None
    pss_file: int | None = None
    pss_shmem: int | None = None
    shared: int | None = None
    private_dirty: int | None = None
    anonymous: int | None = None
    lazy_free: int | None = None
    locked: int | None = None
    swap: int | None = None
    swap_pss: int | None = None


_VALUES = attrgetter(*(field.name for field in fields(Memory)))


@dataclass(frozen=True)
class Mapping:
    """One mapping.

    Attributes:
        start: Its first address.
        end: The address behind it.
        perms: ``r``, ``w``, ``x``, and ``p`` (private) or ``s`` (shared).
        device: Of the file, as in `os.stat_result.st_dev`.
        inode: The file's number; 0 where there is none.
        path: As the kernel prints it: newlines as ``\\012``, ``(deleted)`` behind a file that has no name any more.
        memory: Its sizes; all None where only ``maps`` was read.
    """

    start: int
    end: int
    perms: str
    device: int
    inode: int
    path: str
    memory: Memory

    @property
    def is_file(self) -> bool:
        """Says if a file stands behind it; shared anonymous memory is one of the kernel's own tmpfs."""
        return self.inode != 0 and self.path.startswith("/")

    @property
    def clean(self) -> bool:
        """Says if it is known to hold no private copy of a page, so that its file has all it shows.

        Private copies are anonymous memory. ``Private_Dirty`` would not do: it counts page cache that is
        not yet written back as well, which the file does not lose.
        """
        return self.memory.anonymous == 0 and not self.memory.swap

    @property
    def copied(self) -> int:
        """Returns the bytes of private copies of the file's pages, in memory or swapped out: written in mode ``c``.

        They are anonymous memory: the file does not have them, so the kernel cannot take them back.
        """
        private = self.is_file and self.perms.endswith("p")
        return (self.memory.anonymous or 0) + (self.memory.swap or 0) if private else 0

    @property
    def may_hold_copies(self) -> bool:
        """Says if a write to it makes a private copy of a page, at any time."""
        return "w" in self.perms and self.perms.endswith("p")


def parse_maps(text: bytes) -> tuple[Mapping, ...]:
    """Parses the text of ``/proc/PID/maps``, ``smaps`` or ``smaps_rollup`` (there one mapping, ``[rollup]``)."""
    mappings: list[Mapping] = []
    # No splitlines: a file's name may hold other line ends; only newlines are escaped. No finditer: it makes a name
    # anew each time, and leaves that in CPython's cache of attribute lookups.
    for line in text.split(b"\n"):
        match = _LINE.match(line)
        if match is None:
            continue
        start, end, perms, major, minor, inode, path, field, size = match.groups()
        if field is None:
            device = os.makedev(int(major, 16), int(minor, 16))
            name = path.decode("utf-8", "surrogateescape")
            mappings.append(
                Mapping(int(start, 16), int(end, 16), perms.decode(), device, int(inode), name, Memory())
            )
        elif mappings:
            memory, name = mappings[-1].memory, _FIELD[field]
            setattr(memory, name, (getattr(memory, name) or 0) + int(size) * 1024)
    return tuple(mappings)


def read_mappings(pid: int | str = "self") -> tuple[Mapping, ...]:
    """Reads a process's mappings with their sizes, from ``smaps``; tens of milliseconds.

    Raises:
        OSError: The process has ended or may not be read, or there is no such file.
    """
    return parse_maps(Path(f"/proc/{pid}/smaps").read_bytes())


def read_rollup(pid: int) -> Memory:
    """Reads the sums over a process's mappings from ``smaps_rollup`` (Linux 4.14; the parts of PSS since 5.9).

    Returns:
        The sums; all None of a process that is about to end, which has no memory any more.

    Raises:
        OSError: It has ended, may not be read, or the kernel is older than 4.14.
    """
    found = parse_maps(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
    return found[0].memory if found else Memory()


def mappings_of(mappings: Iterable[Mapping], paths: Iterable[str]) -> tuple[Mapping, ...]:
    """Selects the mappings of some files.

    The kernel shows a file under its real path, whichever links have led to it.
    """
    wanted = {os.path.realpath(path).replace("\n", "\\012") for path in paths}
    return tuple(mapping for mapping in mappings if mapping.path in wanted)


@dataclass(frozen=True)
class Copies:
    """Private copies of one file's pages. Bytes.

    Attributes:
        copied: What was copied.
        size: What may be copied: all mappings of the file that take copies.
    """

    copied: int
    size: int


def copies_by_path(mappings: Iterable[Mapping]) -> dict[str, Copies]:
    """Sums, for each file with mappings that are private and may be written, what of its pages was copied."""
    found: dict[str, Copies] = {}
    for mapping in mappings:
        if mapping.is_file and (mapping.may_hold_copies or mapping.copied):
            before = found.get(mapping.path, Copies(0, 0))
            size = before.size + mapping.end - mapping.start
            found[mapping.path] = Copies(before.copied + mapping.copied, size)
    return found


def split_pss(mapping: Mapping, is_memory: Callable[[str], bool]) -> None:
    """Puts a mapping's PSS to its kind, as the kernel does in ``smaps_rollup``.

    Of a private mapping of a file with copied pages only the proportion is known.

    Args:
        mapping: Its memory gets the parts.
        is_memory: Says if a path stands for memory without a disk behind it (tmpfs, memfd).
    """
    memory = mapping.memory
    if memory.pss is None:
        return
    memory.pss_anon, memory.pss_file, memory.pss_shmem = memory.pss, 0, 0
    if mapping.is_file:
        rss = memory.rss or 0
        memory.pss_anon = round(memory.pss * min(memory.anonymous or 0, rss) / rss) if rss else 0
        rest = memory.pss - memory.pss_anon
        memory.pss_file, memory.pss_shmem = (0, rest) if is_memory(mapping.path) else (rest, 0)


def sum_memory(mappings: Iterable[Mapping]) -> Memory:
    """Sums what is known of mappings."""
    columns = zip(*(_VALUES(mapping.memory) for mapping in mappings), strict=True)
    known = ([value for value in column if value is not None] for column in columns)
    return Memory(*(sum(column) if column else None for column in known))
