"""Proves that a dataset's pages can be taken back: asks the kernel to, and shows that they are gone.

A fall of RSS alone shows unmapping: what counts is that the files' pages have left the page cache. Only clean pages of
files on a disk are asked for; who needs them reads them again. In a run of our own the data is compared too; of a
process that is not ours the same is asked from outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import zlib
from collections.abc import Iterable, Sequence

from hfmemdebug.probes.maps import Mapping, mappings_of, read_mappings
from hfmemdebug.probes.pages import MADV_PAGEOUT, advise, cached_bytes, page_out, write_back
from hfmemdebug.probes.process import ProcessProbe
from hfmemdebug.probes.status import read_status
from hfmemdebug.recording.end import Reclaim
from hfmemdebug.recording.header import LoadedFile
from hfmemdebug.supervise.tree import TreeReading
from hfmemdebug.units import format_bytes

# As much of the data is compared before and after; reading all of it would take as long as the run.
CHECKED_BYTES = 64 * 1024**2
_WINDOW = 1024**2
# Below this share of what was asked back, the kernel has not done what it was asked.
_FREED_SHARE = 0.5


def prove_reclaim(probe: ProcessProbe, files: Sequence[LoadedFile]) -> Reclaim:
    """Pages out the dataset's mappings in this process."""
    report = Reclaim(rss_before=probe.status().rss)
    memory_backed = [file for file in files if file.memory_backed]
    if memory_backed:
        kinds = ", ".join(sorted({file.filesystem or "memory" for file in memory_backed}))
        report.why_not = (
            f"the dataset's files are on {kinds}, whose pages are memory and cannot be taken back"
        )
        return report
    paths = [file.path for file in files]
    clean = tuple(mapping for mapping in mappings_of(read_mappings(), paths) if mapping.clean)
    report.asked_bytes = sum(mapping.memory.rss or 0 for mapping in clean)
    if not clean:
        report.why_not = "none of the dataset's files is mapped"
        return report
    for path in paths:
        with contextlib.suppress(OSError):
            write_back(path)
    # Under a memory limit the reading brings pages in that had been taken back already.
    checksum, report.checked_bytes = _checksum(clean)
    before = _cached(paths)
    # Twice where it needs to be: a page that has only just come in is still on its way to the kernel's
    # lists and cannot be taken from there. The second reading brings it in again.
    for _ in range(2):
        refused = advise(clean, MADV_PAGEOUT)
        report.rss_after = probe.status().rss
        if refused is not None:
            report.why_not = f"the kernel does not take the request ({refused}); it needs Linux 5.4"
            return report
        is_proved = _has_freed(report, before, _cached(paths))
        report.same_data = _checksum(clean)[0] == checksum
        if is_proved:
            return report
    report.why_not = _UNKNOWN if report.freed_bytes is None else _reason(files, report.freed_bytes)
    return report


def reclaim_tree(tree: TreeReading) -> Reclaim:
    """Pages out the data files of every process of a tree that has just been read.

    RSS is that of its root; the data is not compared.
    """
    report = Reclaim(rss_before=_rss(tree.root), how="process_madvise(MADV_PAGEOUT)")
    found = [
        (process.pid, file)
        for process in tree.processes
        for file in process.files or ()
        if not file.memory_backed and not file.copied
    ]
    asked: dict[str, int] = {}
    places: dict[str, str] = {}
    for pid, file in found:
        asked[file.path] = max(asked.get(file.path, 0), file.resident_bytes)
        # Its container may have another root than we.
        places.setdefault(file.path, f"/proc/{pid}/root{file.path}")
    report.asked_bytes = sum(asked.values())
    if not asked:
        report.why_not = "no process has a data file on a disk mapped"
        return report
    before = _cached(places.values())
    refusals = [page_out(pid, file.ranges) for pid, file in found]
    refused = next(filter(None, refusals), None)
    report.rss_after = _rss(tree.root)
    is_proved = _has_freed(report, before, _cached(places.values()))
    if refused is not None:
        report.why_not = (
            f"the kernel does not take the request ({refused}); it wants CAP_SYS_NICE and Linux 5.10"
        )
    elif report.freed_bytes is None:
        report.why_not = _UNKNOWN
    elif not is_proved:
        shared = max(sum(file.path == path for _, file in found) for path in asked)
        why = (
            f"{shared} processes map the same files, and the kernel pages out only what one alone maps"
            if shared > 1
            else "another process may map the same files, or they are not yet written to the disk"
        )
        sizes = f"{format_bytes(report.freed_bytes)} of {format_bytes(report.asked_bytes)}"
        report.why_not = f"the kernel freed {sizes}: {why}"
    return report


_UNKNOWN = "the page cache of these files may not be looked at, so that nothing shows what was freed"


def _has_freed(report: Reclaim, before: int | None, after: int | None) -> bool:
    """Notes what has left the page cache, and says if that is as much as was asked."""
    if before is None or after is None:
        return False
    # Pages come in blocks, of which only a part may have been mapped here.
    report.freed_bytes = min(max(before - after, 0), report.asked_bytes)
    return report.freed_bytes >= _FREED_SHARE * report.asked_bytes


def _cached(paths: Iterable[str]) -> int | None:
    sizes = [cached_bytes(path) for path in paths]
    known = [size for size in sizes if size is not None]
    return sum(known) if known and len(known) == len(sizes) else None


def _reason(files: Sequence[LoadedFile], freed: int) -> str:
    for file in files:
        try:
            owned = os.stat(file.path).st_uid == os.geteuid() or os.access(file.path, os.W_OK)
        except OSError:
            continue
        if not owned:
            return "the kernel pages out only files that one owns or may write, and these are another user's"
    return f"the kernel freed {format_bytes(freed)} only; another process may map the same files"


def _checksum(mappings: Sequence[Mapping]) -> tuple[int, int]:
    """Computes the CRC-32 over windows spread over the mappings, and how many bytes they hold."""
    total = sum(mapping.end - mapping.start for mapping in mappings)
    windows = max(1, CHECKED_BYTES // _WINDOW)
    stride = max(_WINDOW, total // windows)
    checksum = checked = 0
    for mapping in mappings:
        for start in range(mapping.start, mapping.end, stride):
            # The tail of the last page lies behind the end of the file, but within the mapping: zeros.
            length = min(_WINDOW, mapping.end - start)
            checksum = zlib.crc32((ctypes.c_char * length).from_address(start), checksum)
            checked += length
    return checksum, checked


def _rss(pid: int) -> int | None:
    try:
        return read_status(pid).rss
    except OSError:
        return None
