"""Limits that are control groups of ours, in cgroup v1 (root alone) and v2 (root, or a subtree that was delegated).

In v2 a group may hand controllers to its children only while no process is in itself (the root excepted), so that
the place is mostly not below our own group but beside it, below the nearest ancestor that hands memory on. Kernel
source: Documentation/admin-guide/cgroup-v2.rst, "No Internal Process Constraint". Where there is none, our own group is
divided, and we move aside for that.

What is limited is not RSS: file pages are charged to the group whose process has read them first, tmpfs and /dev/shm
count, and ``memory.peak`` has page cache in it, so that for a large reader it is the limit. What is owned is ``anon``.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from hfmemdebug.probes.cgroup import group_limit, group_stat, group_usage, groups
from hfmemdebug.probes.process_table import children_of
from hfmemdebug.recording.end import LimitUsage
from hfmemdebug.supervise.limits.limiter import Request, Unavailable

CGROUP1, CGROUP2 = "cgroup1", "cgroup2"
# Peaks come from the kernel; how much of them are file pages is as fresh as this.
_INTERVAL_SECONDS = 0.1
# What is killed leaves its group when it is scheduled for the last time, which takes a moment.
_PATIENCE_SECONDS = 5.0


class ControlGroup:
    """A memory control group as a `MemoryLimiter`: its limit, its figures, its processes, its end.

    Args:
        folder: Where its files are; None: not known yet.
        version: 1 or 2.
        request: The limit.
        backend: Name of the mechanism.
        how: The same in words.
        undo: Called when it is gone.
    """

    needs_holder = False
    interval = _INTERVAL_SECONDS
    killed = False

    def __init__(
        self,
        folder: Path | None,
        version: int,
        request: Request,
        *,
        backend: str = "",
        how: str = "",
        undo: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = folder
        self.version = version
        self.request = request
        self.prefix: tuple[str, ...] = ()
        self.environment: dict[str, str] = {}
        self.enter: tuple[str, ...] = () if folder is None else (str(folder / "cgroup.procs"),)
        self._undo = undo
        self._usage = LimitUsage(request.bytes, request.swap, backend, how, is_limit=True)
        self._highest = 0

    def limit(self) -> None:
        """Sets the limit.

        Raises:
            Unavailable: The kernel does not take it.
        """
        assert self.folder is not None
        request = self.request
        try:
            if self.version == 2:
                _write(self.folder / "memory.max", request.bytes)
                if (self.folder / "memory.swap.max").exists():
                    _write(self.folder / "memory.swap.max", request.swap)
            else:
                _write(self.folder / "memory.limit_in_bytes", request.bytes)
                if (self.folder / "memory.memsw.limit_in_bytes").exists():
                    _write(self.folder / "memory.memsw.limit_in_bytes", request.bytes + request.swap)
                elif request.swap == 0:
                    # Without accounting of swap the group can at least be told to leave it alone.
                    _write(self.folder / "memory.swappiness", 0)
        except OSError as error:
            raise Unavailable(f"the limit could not be set: {error.strerror}") from error
        self.check()

    def check(self) -> None:
        """Reads the limit back: on cgroup v1 the one of a user's scope is accepted and not set.

        Raises:
            Unavailable: Another one is in force.
        """
        assert self.folder is not None
        found = group_limit(self.folder, self.version)
        if found is None or abs(found - self.request.bytes) >= os.sysconf("SC_PAGE_SIZE"):
            raise Unavailable(f"the limit was accepted and is not in force ({found or 'there is none'})")

    def confirm(self, pid: int) -> str:
        """Reads back that the process is in it."""
        if pid not in self.pids():
            raise Unavailable("the process did not get into its control group")
        return str(self.folder)

    def sample(self) -> None:
        """Reads what the kernel keeps no peak of."""
        now = group_usage(self.folder, self.version) if self.folder is not None else None
        if self.folder is None or now is None:
            return
        second = self.version == 2
        stat, prefix = group_stat(self.folder), "" if second else "total_"
        events = group_stat(self.folder, "memory.events" if second else "memory.oom_control")
        # Shared memory is counted among the file pages, and cannot be taken back.
        shared = stat.get(f"{prefix}shmem", 0)
        file = stat.get("file" if second else "total_cache", 0) - shared
        held = stat.get("anon" if second else "total_rss", 0) + shared
        peak = self._number("memory.peak" if second else "memory.max_usage_in_bytes")
        self._usage = replace(
            self._usage,
            peak_bytes=max(now, peak or 0, self._usage.peak_bytes or 0),
            peak_unreclaimable_bytes=max(held, self._usage.peak_unreclaimable_bytes or 0),
            major_faults=stat.get(f"{prefix}pgmajfault"),
            oom_kills=events.get("oom_kill"),
            limit_hits=events.get("max") if second else self._number("memory.failcnt"),
            throttled=events.get("high"),
            stalled_seconds=self._stalled(),
        )
        if now >= self._highest:
            self._highest, self._usage = now, replace(self._usage, file_bytes_at_peak=max(0, file))

    def usage(self) -> LimitUsage:
        """Returns the limit and what was used of it, as of now."""
        self.sample()
        return self._usage

    def pids(self) -> set[int]:
        """Lists the processes in it and in the groups below it."""
        found: set[int] = set()
        for folder, _, _ in os.walk(self.folder) if self.folder is not None else ():
            with contextlib.suppress(OSError):
                found.update(map(int, (Path(folder) / "cgroup.procs").read_text().split()))
        return found

    def drop_pages(self) -> None:
        """Has the kernel take back what it can of what is charged to it, once its processes have ended."""
        if self.folder is not None:
            with contextlib.suppress(OSError):
                if self.version == 1:
                    _write(self.folder / "memory.force_empty", 0)
                else:
                    # More than there is to take back is an error, after all that there is was taken.
                    _write(self.folder / "memory.reclaim", group_usage(self.folder, 2) or 0)

    def close(self) -> None:
        """Kills what is left in it and removes it."""
        self.remove()
        self._undo()

    def remove(self, *, ours: bool = True) -> None:
        """Kills what is in it and removes it with all groups below it.

        Args:
            ours: It was made by us. A scope is systemd's to remove, which would not notice if we did.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        while self.folder is not None and self.folder.is_dir():
            with contextlib.suppress(OSError):
                _write(self.folder / "cgroup.kill", 1)
            for pid in self.pids() - {os.getpid()}:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            for folder, _, _ in os.walk(self.folder, topdown=False):
                if ours or Path(folder) != self.folder:
                    with contextlib.suppress(OSError):
                        Path(folder).rmdir()
            if time.monotonic() > until:
                return
            if self.folder.is_dir():
                time.sleep(0.01)

    def _number(self, name: str) -> int | None:
        text = _read(self.folder / name).strip() if self.folder is not None else ""
        return int(text) if text.isdecimal() else None

    def _stalled(self) -> float | None:
        """Seconds from the text of a PSI file: ``some avg10=0.00 … total=MICROSECONDS``; v1 has none."""
        if self.version == 1 or self.folder is None:
            return None
        match = re.search(r"^some .*\btotal=(\d+)", _read(self.folder / "memory.pressure"), re.MULTILINE)
        return int(match[1]) / 1e6 if match else None


def open_cgroup1(request: Request, name: str) -> ControlGroup:
    """Makes a child of this process's group in cgroup v1's memory hierarchy.

    Raises:
        Unavailable: It cannot be made here.
    """
    return _make_group(_own_groups(1), name, request, version=1, how="cgroup v1")


def open_cgroup2(request: Request, name: str) -> ControlGroup:
    """Makes a group below the nearest ancestor that hands memory on and may be written.

    Raises:
        Unavailable: It cannot be made here.
    """
    ancestors = _own_groups(2)
    if not (ancestors[-1] / "cgroup.controllers").exists():
        raise Unavailable("cgroup v2 is not mounted here")
    if all("memory" not in _read(folder / "cgroup.controllers").split() for folder in ancestors):
        raise Unavailable("cgroup v2 has no memory controller here")
    how = "cgroup v2" if os.geteuid() == 0 else "a delegated cgroup v2 subtree"
    handing_on = [f for f in ancestors if "memory" in _read(f / "cgroup.subtree_control").split()]
    writable = [folder for folder in handing_on if os.access(folder / "cgroup.procs", os.W_OK)]
    if writable:
        return _make_group(writable, name, request, version=2, how=how)
    own = ancestors[0]
    if not os.access(own / "cgroup.subtree_control", os.W_OK):
        raise Unavailable(f"no control group here may be written by this user ({own})")
    return _divide(own, request, name, how)


def _divide(own: Path, request: Request, name: str, how: str) -> ControlGroup:
    """Makes the group below our own, which we have to leave for that, and do where we are alone in it."""
    aside = own / f"{name}-self"
    in_root = not (own / "cgroup.type").exists()
    # With us goes what hears signals beside us.
    ours = {os.getpid(), *children_of(os.getpid())}
    if not in_root and not ControlGroup(own, 2, request).pids() <= ours:
        raise Unavailable(
            f"the group {own} holds other processes, so that it cannot be divided "
            "(start hfmemdebug as the only process of a delegated group)"
        )

    def move_to(folder: Path) -> None:
        for pid in ours:
            with contextlib.suppress(ProcessLookupError):
                _write(folder / "cgroup.procs", pid)

    def undo() -> None:
        with contextlib.suppress(OSError):
            _write(own / "cgroup.subtree_control", "-memory")
        if not in_root:
            with contextlib.suppress(OSError):
                move_to(own)
            with contextlib.suppress(OSError):
                aside.rmdir()

    try:
        if not in_root:
            aside.mkdir()
            move_to(aside)
        _write(own / "cgroup.subtree_control", "+memory")
        return _make_group([own], name, request, version=2, how=how, undo=undo)
    except OSError as error:
        undo()
        raise Unavailable(f"{own} cannot be divided: {error.strerror}") from error
    except Unavailable:
        undo()
        raise


def _make_group(
    parents: Iterable[Path],
    name: str,
    request: Request,
    *,
    version: int,
    how: str,
    undo: Callable[[], None] = lambda: None,
) -> ControlGroup:
    """Makes a group with a limit below the first of the parents in which that works.

    Raises:
        Unavailable: It works in none of them; the reason is that of the first.
    """
    why: str | None = None
    for parent in parents:
        backend = CGROUP1 if version == 1 else CGROUP2
        group = ControlGroup(parent / name, version, request, backend=backend, how=how, undo=undo)
        try:
            (parent / name).mkdir()
            group.limit()
        except (OSError, Unavailable) as error:
            with contextlib.suppress(OSError):
                (parent / name).rmdir()
            why = why or (f"{error.strerror}: {parent}" if isinstance(error, OSError) else str(error))
            continue
        return group
    raise Unavailable(why or "there is no group to make it in")


def _own_groups(version: int) -> list[Path]:
    """Lists this process's memory group and its ancestors, if memory is accounted by that version.

    Raises:
        Unavailable: It is not.
    """
    found = [folder for folder, v in groups() if v == version and folder.is_dir()]
    if not found:
        raise Unavailable(f"memory is not accounted by cgroup v{version} here")
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _write(path: Path, value: int | str) -> None:
    # Not `write_text`: it would make a file where the kernel has none.
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)
