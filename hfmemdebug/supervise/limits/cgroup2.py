"""A group in cgroup v2: in a subtree that was delegated to this user, or anywhere as root.

A group may hand controllers to its children only while no process is in itself (the root excepted), so
that the place is mostly not below our own group but beside it, below the nearest ancestor that hands
memory on. Kernel source: Documentation/admin-guide/cgroup-v2.rst, "No Internal Process Constraint".
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from hfmemdebug.supervise.limits.enclosure import Request, Unavailable
from hfmemdebug.supervise.limits.group import Group
from hfmemdebug.supervise.limits.kernel_group import KernelGroup, make_group, own_groups

NAME = "cgroup2"


def open_cgroup2(request: Request, name: str) -> KernelGroup:
    """Makes the group.

    Raises:
        Unavailable: It cannot be made here.
    """
    ancestors = [folder for folder, _ in own_groups(2)]
    if not (ancestors[-1] / "cgroup.controllers").exists():
        raise Unavailable("cgroup v2 is not mounted here")
    if all("memory" not in _words(folder / "cgroup.controllers") for folder in ancestors):
        raise Unavailable("cgroup v2 has no memory controller here")
    how = "cgroup v2" if os.geteuid() == 0 else "a delegated cgroup v2 subtree"
    handing_on = [folder for folder in ancestors if "memory" in _words(folder / "cgroup.subtree_control")]
    writable = [folder for folder in handing_on if os.access(folder / "cgroup.procs", os.W_OK)]
    if writable:
        group = make_group([(folder, 2) for folder in writable], name, request)
        return KernelGroup(NAME, how, group)
    own = ancestors[0]
    if not os.access(own / "cgroup.subtree_control", os.W_OK):
        raise Unavailable(f"no control group here may be written by this user ({own})")
    return _open_below(own, request, name, how)


def _open_below(own: Path, request: Request, name: str, how: str) -> KernelGroup:
    """Makes the group below our own, which we have to leave for that, and do where nobody else is in it."""
    aside = Group(own / f"{name}-self", 2)
    in_root = not (own / "cgroup.type").exists()
    if not in_root and Group(own, 2).pids() != {os.getpid()}:
        raise Unavailable(
            f"the group {own} holds other processes, so that it cannot be divided "
            "(start hfmemdebug as the only process of a delegated group)"
        )

    def undo() -> None:
        with contextlib.suppress(OSError):
            _write(own / "cgroup.subtree_control", "-memory")
        if not in_root:
            with contextlib.suppress(OSError):
                _write(own / "cgroup.procs", "0")
            with contextlib.suppress(OSError):
                aside.folder.rmdir()

    try:
        if not in_root:
            aside.folder.mkdir()
            _write(aside.folder / "cgroup.procs", "0")
        _write(own / "cgroup.subtree_control", "+memory")
        return KernelGroup(NAME, how, make_group([(own, 2)], name, request), undo=undo)
    except OSError as error:
        undo()
        raise Unavailable(f"{own} cannot be divided: {error.strerror}") from error
    except Unavailable:
        undo()
        raise


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
