"""Which mechanisms work on this machine, found out by running a command in each."""

from __future__ import annotations

import shutil
import subprocess

from hfmemdebug.supervise.limits.choose import OPENERS
from hfmemdebug.supervise.limits.enclosure import Request
from hfmemdebug.supervise.limits.start import LimitError, start

# Enough for `true`; the figure itself is read back by whoever starts it.
_TRIAL = Request(64 << 20)


def what_works() -> dict[str, str | None]:
    """Every mechanism in the order in which they are tried: None where it works, else why it does not."""
    return {name: _why_not(name) for name in OPENERS}


def _why_not(backend: str) -> str | None:
    try:
        started = start(
            [shutil.which("true") or "/bin/true"], _TRIAL, backend=backend, stdin=subprocess.DEVNULL
        )
    except LimitError as error:
        return error.message.partition(": ")[2]
    try:
        started.process.wait()
    finally:
        started.close()
    return None
