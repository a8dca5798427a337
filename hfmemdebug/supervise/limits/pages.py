"""Data files that a command reads, and their pages in the cache.

What is in the cache already was charged to whoever read it first, so that a limit would not notice it:
before a run under a limit is judged, such pages are dropped.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from hfmemdebug.probes.pages import drop_cached

# Smaller files are hardly data, and cost nothing to read again.
_SMALLEST = 1 << 20
_DATA = re.compile(r"^[0-9a-f-]+ r[w-]-[sp] [0-9a-f]+ \S+ [1-9]\d*\s+(/.*)$", re.MULTILINE)


class DataFiles:
    """The data files that processes were seen to have mapped or open."""

    def __init__(self) -> None:
        self._paths: set[str] = set()

    def note(self, pids: Iterable[int]) -> None:
        """Looks what the processes have mapped, code excepted, and open."""
        for pid in pids:
            with contextlib.suppress(OSError):
                self._paths.update(_DATA.findall(Path(f"/proc/{pid}/maps").read_text(errors="replace")))
            with contextlib.suppress(OSError):
                for name in os.listdir(f"/proc/{pid}/fd"):
                    with contextlib.suppress(OSError):
                        self._paths.add(str(Path(f"/proc/{pid}/fd/{name}").readlink()))

    @property
    def found(self) -> list[str]:
        """Their paths; libraries are left out, since every program reads those."""
        return sorted(path for path in self._paths if _is_data(path))

    def drop(self) -> None:
        """Drops their clean pages from the cache; what another process has mapped stays."""
        for path in self.found:
            with contextlib.suppress(OSError):
                drop_cached(path)


def _is_data(path: str) -> bool:
    if ".so" in path.rpartition("/")[2] or not path.startswith("/") or path.startswith(("/dev/", "/proc/")):
        return False
    file = Path(path)
    try:
        return file.is_file() and file.stat().st_size >= _SMALLEST and not os.access(file, os.X_OK)
    except OSError:
        return False
