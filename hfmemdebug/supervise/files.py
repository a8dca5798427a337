"""Selects the mapped files of a process that are data, and says what kind of data and how large on disk."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from mmap import PAGESIZE

from hfmemdebug.probes.maps import FileMemory
from hfmemdebug.probes.mounts import mount_of, read_mounts

# What `map` and its kin write, by the fingerprint of what was done; shards of it with num_proc.
_CACHE = re.compile(r"^cache-([0-9a-f]{16,64})(?:_(\d+)_of_(\d+))?\.arrow$")
_SAVED = re.compile(r"^data-\d{5}-of-\d{5}\.arrow$")
_NO_DATA = ("/usr/", "/lib", "/etc/", "/dev/", "/memfd:", "/SYSV", "/proc/", "/sys/", "/anon_hugepage")
_LIBRARY = re.compile(r"\.so(?:\.[\d.]+)?$|\.pyc$|\.mo$|locale-archive$|gconv-modules")
_ALWAYS_DATA = re.compile(r"\.(?:arrow|parquet|feather|mmap|memmap)$")
# Smaller files that are not known to be data are not worth a line.
_NOTEWORTHY = 1 << 20
_KERNELS_OWN = ("/memfd:", "/SYSV", "/dev/zero", "/dev/shm/")


@dataclass(frozen=True)
class DataFile:
    """A data file that a process has mapped.

    Attributes:
        path: Its path.
        resident_bytes: How much of it the process has resident; at most its size.
        again_bytes: What its RSS counts besides, for pages that it has mapped more than once.
        pss_bytes: The same, divided by the number of processes that map each page.
        size_bytes: Its size on disk; None where it cannot be asked any more.
        kind: ``"map cache"`` (what `Dataset.map` and its kin write), ``"saved dataset"`` (`save_to_disk`),
            ``"prepared dataset"`` (`load_dataset`'s), ``"Arrow file"`` or ``"file"``.
        fingerprint: Of a map cache: the fingerprint in its name.
        memory_backed: It lives in memory alone (tmpfs), so that it cannot be taken back.
        deleted: It has no name any more.
    """

    path: str
    resident_bytes: int
    again_bytes: int
    pss_bytes: int | None
    size_bytes: int | None
    kind: str
    fingerprint: str | None
    memory_backed: bool
    deleted: bool


def kind_of(path: str) -> tuple[str, str | None]:
    """Tells what a data file is, by its name, and the fingerprint in it."""
    folder, _, name = path.rpartition("/")
    cache = _CACHE.match(name)
    if cache is not None:
        return "map cache", cache.group(1)
    if _SAVED.match(name):
        return "saved dataset", None
    if name.endswith(".arrow"):
        # datasets/NAMESPACE___NAME/CONFIG/VERSION/HASH/NAME-SPLIT.arrow
        prepared = "/datasets/" in folder and re.search(r"/\d+\.\d+\.\d+(?:/[0-9a-f]+)?$", folder)
        return ("prepared dataset" if prepared else "Arrow file"), None
    return "file", None


def is_data(file: FileMemory) -> bool:
    """Decides if a mapped file is data and no program, library or shared memory."""
    if file.executable or _LIBRARY.search(file.path):
        return False
    if _ALWAYS_DATA.search(file.path):
        return True
    return (file.memory.rss or 0) >= _NOTEWORTHY and not file.path.startswith(_NO_DATA)


def memory_paths(pid: int) -> Callable[[str], bool]:
    """Returns a function that says if a path, as a process sees it, stands for memory without a disk behind it."""
    mounts = read_mounts(pid)
    points = tuple(mount.mount_point for mount in mounts if mount.memory_backed)

    @functools.lru_cache(maxsize=4096)
    def of_folder(folder: str) -> bool:
        mount = mount_of(f"{folder}/file", mounts)
        return mount is not None and mount.memory_backed

    def is_memory(path: str) -> bool:
        if path.startswith(_KERNELS_OWN):
            return True
        # Most paths lie below no such mount, and this runs once for each mapping.
        return path.startswith(points) and of_folder(path.rpartition("/")[0])

    return is_memory


def data_files(
    pid: int, files: Sequence[FileMemory], is_memory: Callable[[str], bool]
) -> tuple[DataFile, ...]:
    """Describes the data files of a process, those that hold the most first."""
    found = []
    for file in filter(is_data, files):
        kind, fingerprint = kind_of(file.path)
        rss, size = file.memory.rss or 0, _size(pid, file)
        pages = rss if size is None else -(-size // PAGESIZE) * PAGESIZE
        again = max(0, rss - pages) if len(file.ranges) > 1 else 0
        found.append(
            DataFile(
                path=file.path.replace("\\012", "\n"),
                resident_bytes=rss - again,
                again_bytes=again,
                pss_bytes=file.memory.pss,
                size_bytes=size,
                kind=kind,
                fingerprint=fingerprint,
                memory_backed=is_memory(file.path),
                deleted=file.deleted,
            )
        )
    return tuple(sorted(found, key=lambda file: (-file.resident_bytes, file.path)))


def _size(pid: int, file: FileMemory) -> int | None:
    """Reads the file's size where the process sees it: its container may have another root than we."""
    path = file.path.replace("\\012", "\n")
    start, end = file.ranges[0]
    # The second way finds files without a name as well, and needs more rights.
    for place in (f"/proc/{pid}/root{path}", f"/proc/{pid}/map_files/{start:x}-{end:x}", path):
        try:
            status = os.stat(place)
        except OSError:
            continue
        # Another file may have taken the name.
        if status.st_ino == file.inode or file.inode == 0:
            return status.st_size
    return None
