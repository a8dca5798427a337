"""Runs `hfmemdebug limit` as people do, and looks for what it may have left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hfmemdebug.supervise.limits.run_id import PREFIX, VARIABLE

LIMIT = (sys.executable, "-m", "hfmemdebug", "limit")
# A bare interpreter, which starts quickly and holds 8 MB.
PYTHON = (sys.executable, "-I", "-S", "-c")


def limited(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run(
        [*LIMIT, *arguments],
        **{"capture_output": True, "text": True, "timeout": 120, "stdin": subprocess.DEVNULL, **options},
    )


def groups_of(pid: int) -> list[Path]:
    """Control groups that runs of this hfmemdebug process have made."""
    found = []
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        found += [Path(folder, name) for name in names if name.startswith(PREFIX) and f"-{pid}-" in name]
    return found


def processes_of(pid: int) -> set[int]:
    """Living processes that runs of this hfmemdebug process have started."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                environment = (entry / "environ").read_bytes()
                state = (entry / "stat").read_bytes().rpartition(b")")[2].split()[0]
            except OSError:
                continue
            marks = [v for v in environment.split(b"\0") if v.startswith(VARIABLE.encode())]
            if state != b"Z" and any(f"-{pid}-".encode() in mark for mark in marks):
                found.add(int(entry.name))
    return found
