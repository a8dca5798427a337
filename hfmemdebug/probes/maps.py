"""Mappings of a process: which file, how much of it is resident, whether it holds private copies."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

_HEADER = re.compile(
    r"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<perms>\S{4}) [0-9a-f]+ \S+ (?P<inode>\d+)\s*(?P<path>.*)$"
)
_FIELD = re.compile(r"^(Rss|Private_Dirty|Anonymous|Swap):\s+(\d+) kB$")


@dataclass(frozen=True)
class Mapping:
    """One mapping. Addresses and sizes in bytes; the sizes are None where only ``maps`` was read."""

    start: int
    end: int
    perms: str
    inode: int
    path: str
    rss: int | None = None
    private_dirty: int | None = None
    anonymous: int | None = None
    swap: int | None = None

    @property
    def is_file(self) -> bool:
        """Whether a file of a file system stands behind it."""
        return self.inode != 0 and self.path.startswith("/")

    @property
    def clean(self) -> bool:
        """Whether it is known to hold no private copy of a page, so that its file has all it shows.

        Private copies are anonymous memory. ``Private_Dirty`` would not do: it counts page cache that is
        not yet written back as well, which the file does not lose.
        """
        return self.anonymous == 0 and not self.swap

    @property
    def copied(self) -> int:
        """Bytes of private copies of the file's pages, in memory or swapped out: written in mode ``c``.

        They are anonymous memory: the file does not have them, so nobody can take them back.
        """
        return (self.anonymous or 0) + (self.swap or 0) if self.is_file and self.perms.endswith("p") else 0

    @property
    def may_hold_copies(self) -> bool:
        """Whether a write to it makes a private copy of a page, at any time."""
        return "w" in self.perms and self.perms.endswith("p")


def parse_maps(text: str) -> tuple[Mapping, ...]:
    """Reads ``/proc/PID/maps`` or ``/proc/PID/smaps``.

    A path is given as the kernel prints it, with newlines as ``\\012`` and ``(deleted)`` behind a file
    that has no name any more.
    """
    mappings: list[Mapping] = []
    header: dict[str, str] | None = None
    sizes: dict[str, int] = {}

    def close() -> None:
        if header is None:
            return
        mappings.append(
            Mapping(
                start=int(header["start"], 16),
                end=int(header["end"], 16),
                perms=header["perms"],
                inode=int(header["inode"]),
                path=header["path"],
                rss=sizes.get("Rss"),
                private_dirty=sizes.get("Private_Dirty"),
                anonymous=sizes.get("Anonymous"),
                swap=sizes.get("Swap"),
            )
        )

    # Not splitlines: a file's name may hold what Unicode calls a line's end; only newlines are escaped.
    for line in text.split("\n"):
        match = _FIELD.match(line)
        if match is not None:
            sizes[match.group(1)] = int(match.group(2)) * 1024
            continue
        match = _HEADER.match(line)
        if match is not None:
            close()
            header, sizes = match.groupdict(), {}
    close()
    return tuple(mappings)


def mappings_of(mappings: Iterable[Mapping], paths: Iterable[str]) -> tuple[Mapping, ...]:
    """Those of the mappings behind which one of the files stands.

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
    """For each file with mappings that are private and may be written: what of its pages was copied."""
    found: dict[str, Copies] = {}
    for mapping in mappings:
        if mapping.is_file and (mapping.may_hold_copies or mapping.copied):
            before = found.get(mapping.path, Copies(0, 0))
            size = before.size + mapping.end - mapping.start
            found[mapping.path] = Copies(before.copied + mapping.copied, size)
    return found
