"""An enclosure that is a control group of ours: what cgroup v1, cgroup v2 and systemd scopes share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from hfmemdebug.probes.cgroup import groups
from hfmemdebug.supervise.limits.enclosure import Request, Unavailable, Usage
from hfmemdebug.supervise.limits.group import Group

# Peaks come from the kernel; how much of them are file pages is as fresh as this.
TICK_SECONDS = 0.1


class KernelGroup:
    """A group that a process joins by being written to it.

    Args:
        backend: Name of the mechanism.
        how: The same in words.
        group: The group, with its limit set.
        undo: Called when it is gone.
    """

    is_limit = True
    prefix: tuple[str, ...] = ()
    needs_holder = False
    tick = TICK_SECONDS
    killed = False

    def __init__(
        self, backend: str, how: str, group: Group, *, undo: Callable[[], None] = lambda: None
    ) -> None:
        self.backend = backend
        self.how = how
        self.group = group
        self.environment: dict[str, str] = {}
        self.enter: tuple[str, ...] = (str(group.folder / "cgroup.procs"),)
        self._undo = undo

    def confirm(self, pid: int) -> str:
        """Looks whether the process is in it."""
        if pid not in self.group.pids():
            raise Unavailable("the process did not get into its control group")
        return str(self.group.folder)

    def look(self) -> None:
        """Takes a sample."""
        self.group.look()

    def pids(self) -> set[int]:
        """The processes that are in it."""
        return self.group.pids()

    def usage(self) -> Usage:
        """What has been used until now."""
        return self.group.usage()

    def drop_pages(self) -> None:
        """Has the kernel take back the file pages that are charged to it."""
        self.group.drop_pages()

    def close(self) -> None:
        """Kills what is left in it and removes it."""
        self.group.remove()
        self._undo()


def make_group(parents: list[tuple[Path, int]], name: str, request: Request) -> Group:
    """Makes a group with a limit below the first of the parents in which that works.

    Raises:
        Unavailable: It works in none of them; the reason is that of the first.
    """
    why = "there is no group to make it in"
    for place, (parent, version) in enumerate(parents):
        group = Group(parent / name, version)
        try:
            group.folder.mkdir()
            group.limit(request)
        except (OSError, Unavailable) as error:
            with contextlib.suppress(OSError):
                group.folder.rmdir()
            if place == 0:
                why = f"{error.strerror}: {parent}" if isinstance(error, OSError) else str(error)
            continue
        return group
    raise Unavailable(why)


def own_groups(version: int) -> list[tuple[Path, int]]:
    """This process's memory group and its ancestors, if memory is accounted by that version.

    Raises:
        Unavailable: It is not.
    """
    found = [(folder, v) for folder, v in groups() if v == version and folder.is_dir()]
    if not found:
        raise Unavailable(f"memory is not accounted by cgroup v{version} here")
    return found
