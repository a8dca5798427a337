"""Which mechanisms there are, in the order in which they are tried, and which of them work here."""

from __future__ import annotations

from collections.abc import Iterator

from hfmemdebug.errors import UsageError
from hfmemdebug.supervise.limits.cgroup1 import NAME as CGROUP1
from hfmemdebug.supervise.limits.cgroup1 import open_cgroup1
from hfmemdebug.supervise.limits.cgroup2 import NAME as CGROUP2
from hfmemdebug.supervise.limits.cgroup2 import open_cgroup2
from hfmemdebug.supervise.limits.enclosure import Opener
from hfmemdebug.supervise.limits.systemd import NAME as SYSTEMD
from hfmemdebug.supervise.limits.systemd import open_systemd
from hfmemdebug.supervise.limits.watchdog import NAME as WATCHDOG
from hfmemdebug.supervise.limits.watchdog import open_watchdog

AUTO = "auto"
OPENERS: dict[str, Opener] = {
    SYSTEMD: open_systemd,
    CGROUP2: open_cgroup2,
    CGROUP1: open_cgroup1,
    WATCHDOG: open_watchdog,
}


def candidates(wanted: str) -> Iterator[tuple[str, Opener]]:
    """The mechanisms that are to be tried, the best one first.

    Args:
        wanted: The value of ``--backend``.

    Raises:
        UsageError: There is no such mechanism.
    """
    if wanted != AUTO and wanted not in OPENERS:
        raise UsageError(
            f"--backend {wanted}: there is no such backend", next=f"Choose {AUTO}, {', '.join(OPENERS)}."
        )
    return iter(OPENERS.items() if wanted == AUTO else [(wanted, OPENERS[wanted])])
