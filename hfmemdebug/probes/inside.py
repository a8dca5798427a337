"""Reads what the sampler inside a program has published: counters that only the process itself can read."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hfmemdebug.inject import _hfmemdebug_common as inject
from hfmemdebug.recording.end import BoundedText, Cache, Variable

FOLDER = Path(inject.__file__).parent
# Where the samplers of a run make their pages: all that the program starts has it in its environment.
FOLDER_VARIABLE = "HFMEMDEBUG_RUN"
# Slot → field of a `ProcessSample`.
_FIELDS = {
    inject.S_ROWS: "rows",
    inject.S_BLOCKS: "blocks",
    inject.S_MALLOC: "malloc",
    inject.S_MALLOC_READS: "malloc_reads",
    inject.S_ARROW: "arrow",
    inject.S_PYTHON: "python",
    inject.S_MODULES: "modules",
}
_LAYOUT = struct.Struct(f"={inject.SLOTS}q")


def environment(pages: Path, environ: Mapping[str, str], *, trace: str | None) -> dict[str, str]:
    """Makes the environment in which a program and all that it starts has the sampler inside.

    Args:
        pages: Where the samplers make their pages.
        environ: What the program would have.
        trace: The processes whose allocations are traced too: ``"all"``, ``"children"`` (of the program that this
            process starts, not the program's own), or None.
    """
    path = environ.get("PYTHONPATH")
    found = {
        **environ,
        "PYTHONPATH": f"{FOLDER}{os.pathsep}{path}" if path else str(FOLDER),
        FOLDER_VARIABLE: str(pages),
    }
    if trace is not None:
        found["HFMEMDEBUG_RUN_TRACE"] = "1" if trace == "all" else inject.CHILDREN_OF % os.getpid()
    return found


class InsideReader:
    """Reads the pages that samplers write, one for each process, through mappings that outlive them.

    Each is told how many they are.

    Args:
        folder: Where the samplers make them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pages: dict[int, mmap.mmap] = {}
        self.cost_seconds = 0.0
        self.seen = 0
        # Blocks that waited for the collector as a process ended, where it came to say so.
        self.garbage_blocks: dict[int, int] = {}

    def read(self, pid: int) -> dict[str, Any] | None:
        """Reads fields of a `ProcessSample`; None where there is no sampler in the process. Microseconds."""
        page = self._pages.get(pid) or self._open(pid)
        if page is None:
            return None
        slots = _LAYOUT.unpack_from(page)
        if slots[inject.S_MAGIC] != inject.MAGIC or slots[inject.S_PID] != pid:
            return None
        found: dict[str, Any] = {field: slots[slot] for slot, field in _FIELDS.items() if slots[slot] >= 0}
        if slots[inject.S_ENDING] == 1:
            found["ending"] = True
        if slots[inject.S_ARROW_IS_MALLOC] == 1:
            # Its bytes are malloc's, and counted there.
            found.pop("arrow", None)
        role = page[inject.ROLE_AT : inject.ROLE_AT + inject.ROLE_BYTES].partition(b"\0")[0]
        if role:
            found["role"] = role.decode("utf-8", "replace")
        return found

    def versions(self, pid: int) -> dict[str, str]:
        """Reads the versions that the program ran on; empty where it did not come to say so."""
        return {str(k): str(v) for k, v in self._last_words(pid).get("versions", {}).items()}

    def caches(self, pid: int) -> tuple[Cache, ...]:
        """Reads the caches with many entries and a bound that was not reached as the program ended."""
        return tuple(Cache(*told) for told in self._last_words(pid).get("caches", ()))

    def variables(self, pid: int) -> tuple[Variable, ...]:
        """Reads the containers with a bound of functions that had returned at the end, where most of it went then."""
        return tuple(Variable(*told) for told in self._last_words(pid).get("variables", ()))

    def values(self, pid: int) -> tuple[BoundedText, ...]:
        """Reads the texts and arrays that the program cuts to a length that they did not have as it ended."""
        found = self._last_words(pid).get("values", ())
        return tuple(BoundedText(words, size, most, pid) for words, size, most in found)

    def returned_values(self, pid: int) -> tuple[BoundedText, ...]:
        """Reads those of functions that had returned, with what was given back since and what they have room for."""
        found = self._last_words(pid).get("returned_values", ())
        return tuple(BoundedText(words, size, least, pid, most) for words, size, least, most in found)

    def _last_words(self, pid: int) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((self._folder / f"{pid}.json").read_text()))
        return {}

    def forget(self, pid: int) -> None:
        """Lets go of a process that has ended, before another one is given its number."""
        page = self._pages.pop(pid, None)
        if page is not None:
            slots = _LAYOUT.unpack_from(page)
            self.cost_seconds += max(0, slots[inject.S_COST]) / 1e9
            if slots[inject.S_GARBAGE] >= 0:
                self.garbage_blocks[pid] = slots[inject.S_GARBAGE]
            page.close()
            self._say_how_many()
            with contextlib.suppress(OSError):
                (self._folder / f"{pid}.page").unlink()

    def _say_how_many(self) -> None:
        """Tells the samplers among how many processes they share what readings may take."""
        count = len(self._pages).to_bytes(8, sys.byteorder)
        for pid in self._pages:
            # Not through the mapping: where the disk is full, that could end us (SIGBUS).
            with contextlib.suppress(OSError):
                fd = os.open(self._folder / f"{pid}.page", os.O_WRONLY | os.O_CLOEXEC)
                try:
                    os.pwrite(fd, count, inject.S_PROCESSES * len(count))
                finally:
                    os.close(fd)

    def _open(self, pid: int) -> mmap.mmap | None:
        try:
            fd = os.open(self._folder / f"{pid}.page", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            # It is made before it is given its length.
            if os.fstat(fd).st_size < inject.PAGE_BYTES:
                return None
            page = mmap.mmap(fd, inject.PAGE_BYTES, access=mmap.ACCESS_READ)
        except OSError:
            return None
        finally:
            os.close(fd)
        self._pages[pid] = page
        self._say_how_many()
        self.seen += 1
        return page
