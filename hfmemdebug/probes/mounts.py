"""Parses ``/proc/PID/mountinfo``: which file system holds a path.

`psutil.disk_partitions` gives neither what is mounted for another process nor the folder at a mount's root.
"""

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
    """A mounted file system.

    Attributes:
        root: The folder of the file system that is at the mount point.
        mount_point: Where it is mounted, as the process sees it.
        filesystem: Its type (``ext4``, ``tmpfs``, ``nfs4``, ``fuse.sshfs``).
        options: Those of the whole file system; a cgroup hierarchy's controllers are among them.
    """

    root: str
    mount_point: str
    filesystem: str
    options: tuple[str, ...] = ()

    @property
    def memory_backed(self) -> bool:
        """Says if its files live in memory alone."""
        return self.filesystem in MEMORY_BACKED


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Parses the text of ``mountinfo``, in its order (a later mount covers an earlier one at the same place).

    The layout is that of proc_pid_mountinfo(5): after the sixth field follow any number of optional fields,
    a lone ``-``, then type, source and options.
    """
    mounts = []
    for line in text.splitlines():
        # The kernel writes space, tab, newline, # and backslash as three octal digits.
        fields = [re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), field) for field in line.split(" ")]
        try:
            dash = fields.index("-", 6)
            mounts.append(Mount(fields[3], fields[4], fields[dash + 1], tuple(fields[dash + 3].split(","))))
        except (ValueError, IndexError):
            continue
    return tuple(mounts)


def read_mounts(pid: int | str = "self", *, root: Path = Path("/")) -> tuple[Mount, ...]:
    """Reads the mounts that a process sees; none where they may not be read.

    Args:
        pid: The process.
        root: Where ``/proc`` is found.
    """
    try:
        path = root / f"proc/{pid}/mountinfo"
        return parse_mountinfo(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return ()


def mount_of(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """Finds the mount that holds a path: the one with the longest mount point, the last of several at one place.

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
    """Describes each file by its size and file system, in the order given.

    Args:
        paths: Paths of files; made absolute in the result. A file that is gone has size 0.
    """
    mounts = read_mounts()
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
                memory_backed=mount is not None and mount.memory_backed,
            )
        )
    return tuple(described)
