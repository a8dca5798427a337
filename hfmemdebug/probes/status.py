"""Parses ``/proc/PID/status``: a process's memory as the kernel counts it.

The file splits the resident set size into anonymous memory, pages of mapped files and shared memory
(``RssAnon``, ``RssFile``, ``RssShmem``; Linux 4.5 and later), which neither USS nor PSS does.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(
    rb"^(VmSize|VmHWM|VmRSS|RssAnon|RssFile|RssShmem|VmData|VmSwap|Threads):\s*(\d+)(?: kB)?$", re.MULTILINE
)


@dataclass(frozen=True)
class Status:
    """The memory lines of one ``status`` file, in bytes; a line that is missing is None.

    ``reserved`` is the size of the private mappings that can be written (VmData), and ``mapped`` that of all mappings
    (VmSize): no more than that can come to be resident.
    """

    rss: int | None = None
    peak_rss: int | None = None
    anon: int | None = None
    file: int | None = None
    shmem: int | None = None
    swap: int | None = None
    reserved: int | None = None
    mapped: int | None = None
    threads: int | None = None


def parse_status(text: bytes) -> Status:
    """Parses the text of ``/proc/PID/status``. Sizes there are in units of 1024 bytes."""
    found = {name: int(number) for name, number in _LINE.findall(text)}

    def size(name: bytes) -> int | None:
        return found[name] * 1024 if name in found else None

    return Status(
        rss=size(b"VmRSS"),
        peak_rss=size(b"VmHWM"),
        anon=size(b"RssAnon"),
        file=size(b"RssFile"),
        shmem=size(b"RssShmem"),
        swap=size(b"VmSwap"),
        reserved=size(b"VmData"),
        mapped=size(b"VmSize"),
        threads=found.get(b"Threads"),
    )


def read_status(pid: int | str) -> Status:
    """Reads the status of a process once.

    Raises:
        OSError: There is no such process.
    """
    return parse_status(Path(f"/proc/{pid}/status").read_bytes())


class StatusReader:
    """Reads the status of a process again and again through one open descriptor.

    Args:
        pid: The process, or ``"self"``.

    Raises:
        OSError: There is no /proc, or no such process.
    """

    def __init__(self, pid: int | str = "self") -> None:
        self._fd = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> Status:
        """Takes one reading, about ten microseconds.

        Raises:
            ProcessLookupError: The process has ended.
        """
        return parse_status(os.pread(self._fd, 8192, 0))

    def close(self) -> None:
        """Closes the descriptor."""
        os.close(self._fd)
