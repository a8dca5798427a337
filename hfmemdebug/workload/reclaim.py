"""The proof: the dataset's pages are taken back, shown to be gone, and re-read as the same data."""

from __future__ import annotations

import ctypes
import os
import zlib
from collections.abc import Sequence

from hfmemdebug.probes.maps import Mapping, mappings_of
from hfmemdebug.probes.pages import MADV_PAGEOUT, advise, cached_bytes
from hfmemdebug.probes.process import ProcessProbe, read_mappings
from hfmemdebug.recording.end import Reclaim
from hfmemdebug.recording.header import LoadedFile
from hfmemdebug.units import format_bytes

# As much of the data is compared before and after; reading all of it would take as long as the run.
CHECKED_BYTES = 64 * 1024**2
_WINDOW = 1024**2
# Below this share of what was asked back, the kernel has not done what it was asked.
_FREED_SHARE = 0.5


def prove_reclaim(probe: ProcessProbe, files: Sequence[LoadedFile]) -> Reclaim:
    """Pages the dataset's mappings out and reports what happened."""
    report = Reclaim(rss_before=probe.kernel.status().rss)
    memory_backed = [file for file in files if file.memory_backed]
    if memory_backed:
        kinds = ", ".join(sorted({file.filesystem or "memory" for file in memory_backed}))
        report.why_not = (
            f"the dataset's files are on {kinds}, whose pages are memory and cannot be taken back"
        )
        return report
    try:
        mappings = mappings_of(read_mappings(), (file.path for file in files))
    except OSError:
        report.why_not = "this system does not show a process's mappings"
        return report
    clean = tuple(mapping for mapping in mappings if mapping.clean)
    _write_back(clean)
    report.asked_bytes = sum(mapping.rss or 0 for mapping in clean)
    if not clean:
        report.why_not = "none of the dataset's files is mapped"
        return report
    # Under a memory limit the reading brings pages in that had been taken back already.
    checksum, report.checked_bytes = _checksum(clean)
    cached_before = cached_bytes(clean)
    # Twice where it needs to be: a page that has only just come in is still on its way to the kernel's
    # lists and cannot be taken from there. The second reading brings it in again.
    for _ in range(2):
        refused = advise(clean, MADV_PAGEOUT)
        report.rss_after = probe.kernel.status().rss
        if refused is not None:
            report.why_not = f"the kernel does not take the request ({refused}); it needs Linux 5.4"
            return report
        cached_after = cached_bytes(clean)
        if cached_before is not None and cached_after is not None:
            # Pages come in blocks, of which only a part may have been mapped here.
            report.freed_bytes = min(cached_before - cached_after, report.asked_bytes)
        report.same_data = _checksum(clean)[0] == checksum
        if (report.freed_bytes or 0) >= _FREED_SHARE * report.asked_bytes:
            break
    if report.freed_bytes is None:
        report.why_not = "mincore is not to be had here, so that nothing shows whether pages were freed"
    elif report.freed_bytes < _FREED_SHARE * report.asked_bytes:
        report.why_not = _reason(files, report.freed_bytes)
    return report


def _write_back(mappings: Sequence[Mapping]) -> None:
    """Writes a just built dataset's pages to disk: the kernel takes only written pages back."""
    for path in {mapping.path for mapping in mappings if mapping.private_dirty}:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


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
    """CRC-32 over windows spread over the mappings, and how many bytes they hold."""
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
