"""A process's memory by kind and by file, from ``/proc/PID/smaps`` or ``/proc/PID/smaps_rollup``.

Reading either walks the page tables: about 20 ms for each resident GB. ``smaps`` costs hardly more than
the sum of it and says which files are behind the pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace

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
}
_SHARED = (b"Shared_Clean", b"Shared_Dirty")


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

    def plus(self, other: Memory) -> Memory:
        """The sum of two, field by field; a field that either lacks is taken from the other."""
        return Memory(**{f.name: _sum(getattr(self, f.name), getattr(other, f.name)) for f in fields(Memory)})


def _sum(a: int | None, b: int | None) -> int | None:
    return a if b is None else b if a is None else a + b


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
    return _memory((match.group(6), match.group(7)) for match in _LINE.finditer(text) if match.group(6))


def parse_smaps(text: bytes, is_memory: Callable[[str], bool]) -> ProcessMemory:
    """Reads ``smaps``.

    PSS is split as the kernel does in ``smaps_rollup``, except that of a private mapping of a file with
    copied pages only the proportion is known.

    Args:
        text: The file's text.
        is_memory: Whether a path stands for memory without a disk behind it (tmpfs, memfd).
    """
    total = Memory()
    files: dict[tuple[str, int], FileMemory] = {}
    header: re.Match[bytes] | None = None
    sizes: list[tuple[bytes, bytes]] = []

    def close() -> None:
        nonlocal total
        if header is None:
            return
        memory = _memory(sizes)
        inode = int(header.group(4))
        name = header.group(5).decode("utf-8", "surrogateescape")
        # Shared anonymous memory has an inode too and is shown as a file of the kernel's own tmpfs.
        behind = inode != 0 and name.startswith("/")
        path = name.removesuffix(" (deleted)")
        memory = _split(memory, of_file=behind, of_memory=behind and is_memory(name))
        total = total.plus(memory)
        if not behind:
            return
        perms = header.group(3)
        span = (int(header.group(1), 16), int(header.group(2), 16))
        known = files.get((path, inode))
        executable, writable = b"x" in perms, perms[1:2] == b"w" and perms[3:4] == b"s"
        if known is None:
            files[path, inode] = FileMemory(path, inode, path != name, executable, writable, (span,), memory)
        else:
            files[path, inode] = replace(
                known,
                executable=known.executable or executable,
                writable=known.writable or writable,
                ranges=(*known.ranges, span),
                memory=known.memory.plus(memory),
            )

    for match in _LINE.finditer(text):
        if match.group(6) is not None:
            sizes.append((match.group(6), match.group(7)))
        else:
            close()
            header, sizes = match, []
    close()
    return ProcessMemory(total, tuple(files.values()))


def _memory(sizes: Iterable[tuple[bytes, bytes]]) -> Memory:
    values: dict[str, int] = {}
    for name, number in sizes:
        field = "shared" if name in _SHARED else _FIELD[name]
        values[field] = values.get(field, 0) + int(number) * 1024
    return Memory(**values)


def _split(memory: Memory, *, of_file: bool, of_memory: bool) -> Memory:
    """Puts a mapping's PSS to its kind."""
    pss = memory.pss
    if pss is None:
        return memory
    if not of_file:
        return replace(memory, pss_anon=pss, pss_file=0, pss_shmem=0)
    copied = min(memory.anonymous or 0, memory.rss or 0)
    anon = round(pss * copied / memory.rss) if memory.rss else 0
    rest = pss - anon
    return replace(
        memory, pss_anon=anon, pss_file=0 if of_memory else rest, pss_shmem=rest if of_memory else 0
    )
