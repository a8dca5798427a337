"""Selects the mapped files of a process that are data, and says what kind of data and how large on disk."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from mmap import PAGESIZE

from hfmemdebug.probes.maps import Mapping, Memory, read_mappings, split_pss, sum_memory
from hfmemdebug.probes.mounts import mount_of, read_mounts

# What `map` and its kin write, by the fingerprint of what was done; shards of it with num_proc.
_CACHE = re.compile(r"^cache-([0-9a-f]{16,64})(?:_(\d+)_of_(\d+))?\.arrow$")
_SAVED = re.compile(r"^data-\d{5}-of-\d{5}\.arrow$")
_NO_DATA = ("/usr/", "/lib", "/etc/", "/dev/", "/memfd:", "/SYSV", "/proc/", "/sys/", "/anon_hugepage")
_LIBRARY = re.compile(r"\.so(?:\.[\d.]+)?$|\.pyc$|\.mo$|locale-archive$|gconv-modules")
_ALWAYS_DATA = re.compile(r"\.(?:arrow|parquet|feather|mmap|memmap)$")
# Smaller files that are not known to be data are not worth a line.
_NOTEWORTHY = 1 << 20
_DELETED = " (deleted)"
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
        copied: The process has private copies of some of its pages.
        ranges: Addresses, start and end of each mapping.
    """

    path: str
    resident_bytes: int
    again_bytes: int
    pss_bytes: int | None
    size_bytes: int | None
    kind: str
    fingerprint: str | None
    memory_backed: bool
    copied: bool
    ranges: tuple[tuple[int, int], ...]


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


def is_data(mappings: Sequence[Mapping]) -> bool:
    """Decides if a file is data and no program, library or shared memory, by all mappings of it."""
    path = mappings[0].path.removesuffix(_DELETED)
    if any("x" in mapping.perms for mapping in mappings) or _LIBRARY.search(path):
        return False
    if _ALWAYS_DATA.search(path):
        return True
    resident = sum(mapping.memory.rss or 0 for mapping in mappings)
    return resident >= _NOTEWORTHY and not path.startswith(_NO_DATA)


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


def read_memory(pid: int) -> tuple[Memory, tuple[DataFile, ...]]:
    """Reads a process's memory in all, and its data files, those that hold the most first.

    About 20 ms for each resident GB.

    Raises:
        OSError: It has ended, or may not be read.
    """
    is_memory = memory_paths(pid)
    mappings = read_mappings(pid)
    files: dict[tuple[str, int], list[Mapping]] = {}
    for mapping in mappings:
        split_pss(mapping, is_memory)
        if mapping.is_file:
            files.setdefault((mapping.path, mapping.inode), []).append(mapping)
    found = [describe(pid, of_file, is_memory) for of_file in files.values() if is_data(of_file)]
    return sum_memory(mappings), tuple(sorted(found, key=lambda file: (-file.resident_bytes, file.path)))


def describe(pid: int, mappings: Sequence[Mapping], is_memory: Callable[[str], bool]) -> DataFile:
    """Describes a data file by all mappings of it."""
    path = mappings[0].path.removesuffix(_DELETED)
    kind, fingerprint = kind_of(path)
    memory = sum_memory(mappings)
    rss, size = memory.rss or 0, _size(pid, mappings[0])
    pages = rss if size is None else -(-size // PAGESIZE) * PAGESIZE
    again = max(0, rss - pages) if len(mappings) > 1 else 0
    return DataFile(
        path=path.replace("\\012", "\n"),
        resident_bytes=rss - again,
        again_bytes=again,
        pss_bytes=memory.pss,
        size_bytes=size,
        kind=kind,
        fingerprint=fingerprint,
        memory_backed=is_memory(path),
        copied=bool(memory.anonymous or memory.swap),
        ranges=tuple((mapping.start, mapping.end) for mapping in mappings),
    )


def _size(pid: int, mapping: Mapping) -> int | None:
    """Reads the file's size where the process sees it: its container may have another root than we."""
    path = mapping.path.removesuffix(_DELETED).replace("\\012", "\n")
    # The second way finds files without a name as well, and needs more rights.
    by_address = f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"
    for place in (f"/proc/{pid}/root{path}", by_address, path):
        try:
            status = os.stat(place)
        except OSError:
            continue
        # Another file may have taken the name.
        if status.st_ino == mapping.inode:
            return status.st_size
    return None
