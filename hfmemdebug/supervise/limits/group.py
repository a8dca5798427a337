"""One memory control group: its limit, its figures, its processes, its end. The same for v1 and v2."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

from hfmemdebug.supervise.limits.enclosure import Request, Unavailable, Usage

# What is killed leaves its group when it is scheduled for the last time, which takes a moment.
_PATIENCE_SECONDS = 5.0


class Group:
    """A group's folder.

    Args:
        folder: Where its files are.
        version: 1 or 2.
    """

    def __init__(self, folder: Path, version: int) -> None:
        self.folder = folder
        self.version = version
        self._usage = Usage()
        self._highest = 0

    def limit(self, request: Request) -> None:
        """Sets the limit.

        Raises:
            Unavailable: The kernel does not take it.
        """
        try:
            if self.version == 2:
                self._write("memory.max", request.bytes)
                if (self.folder / "memory.swap.max").exists():
                    self._write("memory.swap.max", request.swap)
            else:
                self._write("memory.limit_in_bytes", request.bytes)
                if (self.folder / "memory.memsw.limit_in_bytes").exists():
                    self._write("memory.memsw.limit_in_bytes", request.bytes + request.swap)
                elif request.swap == 0:
                    # Without accounting of swap the group can at least be told to leave it alone.
                    self._write("memory.swappiness", 0)
        except OSError as error:
            raise Unavailable(f"the limit could not be set: {error.strerror}") from error
        self.check(request)

    def check(self, request: Request) -> None:
        """Reads the limit back.

        Raises:
            Unavailable: Another one is in force.
        """
        name = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
        found = self._text(name).strip()
        page = os.sysconf("SC_PAGE_SIZE")
        if not found.isdecimal() or not request.bytes - page < int(found) <= request.bytes + page:
            raise Unavailable(f"the limit was accepted and is not in force ({name}: {found or 'not there'})")

    def look(self) -> None:
        """Takes a sample of what the kernel keeps no peak of."""
        now = self._number("memory.current" if self.version == 2 else "memory.usage_in_bytes")
        if now is None:
            return
        stat = self._pairs("memory.stat")
        prefix = "" if self.version == 2 else "total_"
        file = stat.get("file" if self.version == 2 else "total_cache", 0)
        shared = stat.get(f"{prefix}shmem", 0)
        held = stat.get("anon" if self.version == 2 else "total_rss", 0) + shared
        peak = self._number("memory.peak" if self.version == 2 else "memory.max_usage_in_bytes")
        usage = replace(
            self._usage,
            peak=max(now, peak or 0, self._usage.peak or 0),
            unreclaimable_peak=max(held, self._usage.unreclaimable_peak or 0),
            major_faults=stat.get(f"{prefix}pgmajfault"),
        )
        if now >= self._highest:
            # Shared memory is counted among the file pages, and cannot be taken back.
            self._highest, usage = now, replace(usage, file_at_peak=max(0, file - shared))
        if self.version == 2:
            events = self._pairs("memory.events")
            usage = replace(
                usage,
                oom_kills=events.get("oom_kill"),
                limit_hits=events.get("max"),
                throttled=events.get("high"),
                stalled_seconds=_stalled(self._text("memory.pressure")),
            )
        else:
            usage = replace(
                usage,
                oom_kills=self._pairs("memory.oom_control").get("oom_kill"),
                limit_hits=self._number("memory.failcnt"),
            )
        self._usage = usage

    def usage(self) -> Usage:
        """What was used, as of now."""
        self.look()
        return self._usage

    def pids(self) -> set[int]:
        """The processes in it and in the groups below it."""
        found: set[int] = set()
        for folder, _, _ in os.walk(self.folder):
            with contextlib.suppress(OSError):
                found.update(map(int, (Path(folder) / "cgroup.procs").read_text().split()))
        return found

    def kill(self) -> None:
        """Kills all that is in it."""
        with contextlib.suppress(OSError):
            self._write("cgroup.kill", 1)
        for pid in self.pids() - {os.getpid()}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def drop_pages(self) -> None:
        """Has the kernel take back what it can of what is charged to it, once its processes have ended."""
        with contextlib.suppress(OSError):
            if self.version == 1:
                self._write("memory.force_empty", 0)
            else:
                # More than there is to take back is an error, after all that there is was taken.
                self._write("memory.reclaim", self._number("memory.current") or 0)

    def remove(self, *, ours: bool = True) -> bool:
        """Kills what is in it and removes it with all groups below it.

        Args:
            ours: It was made by us. A scope is systemd's to remove, which would not notice if we did.

        Returns:
            Whether it is gone.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        while self.folder.is_dir():
            self.kill()
            for folder, _, _ in os.walk(self.folder, topdown=False):
                if ours or Path(folder) != self.folder:
                    with contextlib.suppress(OSError):
                        Path(folder).rmdir()
            if time.monotonic() > until:
                return False
            if self.folder.is_dir():
                time.sleep(0.01)
        return True

    def _write(self, name: str, value: int) -> None:
        # Not `write_text`: it would make a file where the kernel has none.
        descriptor = os.open(self.folder / name, os.O_WRONLY)
        try:
            os.write(descriptor, str(value).encode())
        finally:
            os.close(descriptor)

    def _text(self, name: str) -> str:
        try:
            return (self.folder / name).read_text()
        except OSError:
            return ""

    def _number(self, name: str) -> int | None:
        text = self._text(name).strip()
        return int(text) if text.isdecimal() else None

    def _pairs(self, name: str) -> dict[str, int]:
        return {
            key: int(value) for key, value in re.findall(r"^(\S+) (\d+)$", self._text(name), re.MULTILINE)
        }


def _stalled(pressure: str) -> float | None:
    """Seconds from the text of a PSI file: ``some avg10=0.00 … total=MICROSECONDS``."""
    match = re.search(r"^some .*\btotal=(\d+)", pressure, re.MULTILINE)
    return int(match[1]) / 1e6 if match else None
