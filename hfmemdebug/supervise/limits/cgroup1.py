"""A child of this process's group in cgroup v1's memory hierarchy, which only root may make."""

from __future__ import annotations

from hfmemdebug.supervise.limits.enclosure import Request
from hfmemdebug.supervise.limits.kernel_group import KernelGroup, make_group, own_groups

NAME = "cgroup1"


def open_cgroup1(request: Request, name: str) -> KernelGroup:
    """Makes the group.

    Raises:
        Unavailable: It cannot be made here.
    """
    return KernelGroup(NAME, "cgroup v1", make_group(own_groups(1), name, request))
