"""Which file system holds a file, and whether its pages live in memory only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hfmemdebug.recording.header import LoadedFile

# A mapped page of these has no other home than memory (and swap): dropping it would lose it.
MEMORY_BACKED = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs", "rootfs"})


@dataclass(frozen=True)
class Mount:
    """A line of ``/proc/self/mountinfo``.

    Attributes:
        mount_point: Where it is mounted, as this process sees it.
        filesystem: Type of the file system (``ext4``, ``tmpfs``, ``nfs4``, ``fuse.sshfs``).
        source: What is mounted (a device, a server's folder, any word).
    """

    mount_point: str
    filesystem: str
    source: str


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Reads ``/proc/self/mountinfo``, in its order (a later mount covers an earlier one at the same place).

    The layout is that of proc_pid_mountinfo(5): after the sixth field follow any number of optional fields,
    a lone ``-``, then type and source.
    """
    mounts = []
    for line in text.splitlines():
        fields = line.split(" ")
        try:
            dash = fields.index("-", 6)
            mounts.append(
                Mount(_unescape(fields[4]), _unescape(fields[dash + 1]), _unescape(fields[dash + 2]))
            )
        except (ValueError, IndexError):
            continue
    return tuple(mounts)


def mount_of(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that holds a path: the one with the longest mount point, the last of several at one place.

    Args:
        path: Absolute path without symbolic links.
        mounts: As `parse_mountinfo` gives them.
    """
    best: Mount | None = None
    for mount in mounts:
        root = mount.mount_point.rstrip("/")
        inside = path == root or path.startswith(root + "/")
        if inside and (best is None or len(root) >= len(best.mount_point.rstrip("/"))):
            best = mount
    return best


def describe_files(paths: Iterable[str]) -> tuple[LoadedFile, ...]:
    """Size and file system of each file, in the order given.

    Args:
        paths: Paths of files; made absolute in the result. A file that is gone has size 0. Where the
            system has no ``/proc/self/mountinfo`` (macOS, Windows), the file system is None.
    """
    try:
        mounts = parse_mountinfo(
            Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        )
    except OSError:
        mounts = ()
    described = []
    for path in paths:
        try:
            size = Path(path).stat().st_size
        except OSError:
            size = 0
        # The Hub's cache is made of links: what counts is where the bytes are.
        mount = mount_of(os.path.realpath(path), mounts)
        described.append(
            LoadedFile(
                path=str(Path(path).absolute()),
                size_bytes=size,
                filesystem=mount.filesystem if mount else None,
                memory_backed=mount is not None and mount.filesystem in MEMORY_BACKED,
            )
        )
    return tuple(described)


def _unescape(field: str) -> str:
    # The kernel writes space, tab, newline, # and backslash as three octal digits.
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), field)
