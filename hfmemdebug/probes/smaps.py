"""A process's memory by kind and by file, from ``/proc/PID/smaps`` or ``/proc/PID/smaps_rollup``.

Reading either walks the page tables: about 20 ms for each resident GB. ``smaps`` costs hardly more than
the sum of it and says which files are behind the pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_LINE = re.compile(
    rb"^(?:([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ \S+ (\d+) *(.*)"
    rb"|(Rss|Pss|Pss_Anon|Pss_File|Pss_Shmem|Private_Dirty|Shared_Clean|Shared_Dirty|Anonymous|LazyFree|Locked|Swap|SwapPss)"
    rb": +(\d+) kB)$",
    re.MULTILINE,
)
_FIELD = {
    b"Rss": "rss",
    b"Pss": "pss",
    b"Pss_Anon": "pss_anon",
    b"Pss_File": "pss_file",
    b"Pss_Shmem": "pss_shmem",
    b"Private_Dirty": "private_dirty",
    b"Anonymous": "anonymous",
    b"LazyFree": "lazy_free",
    b"Locked": "locked",
    b"Swap": "swap",
    b"SwapPss": "swap_pss",
    b"Shared_Clean": "shared",
    b"Shared_Dirty": "shared",
}


@dataclass(frozen=True)
class Memory:
    """Bytes of one process, or of one file in it; what the kernel does not tell is None.

    Attributes:
        rss: Resident.
        pss: Resident, each page divided by the number of processes that map it: sums over processes.
        pss_anon: The anonymous part of ``pss``.
        pss_file: Its part of mapped files.
        pss_shmem: Its part of shared memory and tmpfs.
        shared: Resident pages that another process maps too.
        private_dirty: Written pages that nobody else maps, page cache not yet written back included.
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


@dataclass(frozen=True)
class FileMemory:
    """What a process has of one file, over all mappings of it.

    Attributes:
        path: As the kernel prints it, without ``(deleted)``.
        inode: The file's number.
        deleted: Whether the file has no name any more.
        executable: Whether any of the mappings may be executed: a program or a library.
        writable: Whether any of the mappings writes to the file itself.
        ranges: Addresses, start and end of each mapping.
        memory: Bytes.
    """

    path: str
    inode: int
    deleted: bool
    executable: bool
    writable: bool
    ranges: tuple[tuple[int, int], ...]
    memory: Memory


@dataclass(frozen=True)
class ProcessMemory:
    """A process's memory in all, and of each file that it maps."""

    total: Memory
    files: tuple[FileMemory, ...] = ()


def parse_rollup(text: bytes) -> Memory:
    """Reads ``smaps_rollup`` (Linux 4.14; the parts of PSS since 5.4), or the fields of one mapping."""
    sizes: _Sizes = {}
    for match in _LINE.finditer(text):
        if match.group(6) is not None:
            _add(sizes, _FIELD[match.group(6)], int(match.group(7)) * 1024)
    return Memory(**sizes)


def parse_smaps(text: bytes, is_memory: Callable[[str], bool]) -> ProcessMemory:
    """Reads ``smaps``.

    PSS is split as the kernel does in ``smaps_rollup``, except that of a private mapping of a file with
    copied pages only the proportion is known.

    Args:
        text: The file's text.
        is_memory: Whether a path stands for memory without a disk behind it (tmpfs, memfd).
    """
    total: _Sizes = {}
    files: dict[tuple[bytes, int], tuple[list[re.Match[bytes]], _Sizes]] = {}
    header: re.Match[bytes] | None = None
    sizes: _Sizes = {}

    def close() -> None:
        if header is None:
            return
        inode, name = int(header.group(4)), header.group(5)
        # Shared anonymous memory has an inode too and is shown as a file of the kernel's own tmpfs.
        behind = inode != 0 and name.startswith(b"/")
        _split(sizes, of_file=behind, of_memory=behind and is_memory(_text(name)))
        of_file: _Sizes = {}
        if behind:
            headers, of_file = files.setdefault((name, inode), ([], {}))
            headers.append(header)
        for field, size in sizes.items():
            _add(total, field, size)
            if behind:
                _add(of_file, field, size)

    for match in _LINE.finditer(text):
        field = match.group(6)
        if field is None:
            close()
            header, sizes = match, {}
        else:
            _add(sizes, _FIELD[field], int(match.group(7)) * 1024)
    close()
    return ProcessMemory(
        Memory(**total), tuple(_file(headers, Memory(**sizes)) for headers, sizes in files.values())
    )


_Sizes = dict[str, int]


def _add(sizes: _Sizes, field: str, size: int) -> None:
    sizes[field] = sizes.get(field, 0) + size


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _file(headers: list[re.Match[bytes]], memory: Memory) -> FileMemory:
    name = _text(headers[0].group(5))
    path = name.removesuffix(" (deleted)")
    perms = [header.group(3) for header in headers]
    return FileMemory(
        path=path,
        inode=int(headers[0].group(4)),
        deleted=path != name,
        executable=any(b"x" in p for p in perms),
        writable=any(p[1:2] == b"w" and p[3:4] == b"s" for p in perms),
        ranges=tuple((int(header.group(1), 16), int(header.group(2), 16)) for header in headers),
        memory=memory,
    )


def _split(sizes: _Sizes, *, of_file: bool, of_memory: bool) -> None:
    """Puts a mapping's PSS to its kind."""
    pss = sizes.get("pss")
    if pss is None:
        return
    if not of_file:
        sizes.update(pss_anon=pss, pss_file=0, pss_shmem=0)
        return
    rss = sizes.get("rss", 0)
    anon = round(pss * min(sizes.get("anonymous", 0), rss) / rss) if rss else 0
    rest = pss - anon
    sizes.update(pss_anon=anon, pss_file=0 if of_memory else rest, pss_shmem=rest if of_memory else 0)
