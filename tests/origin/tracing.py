"""Small programs that are traced, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from uncovered import uncovered

_DRIVER = """
import json, os, sys
sys.path.insert(0, {folder!r})
import program
from hfmemdebug.origin import native
from hfmemdebug.origin.holders import find_holders
from hfmemdebug.origin.referrers import find_referrers
from hfmemdebug.origin.trace import NativeGrowth, trace

# However busy the machine is.
native.READ_SECONDS = native.MOST_SECONDS = 600

def walk():
    while True:
        program.consume()
        yield

for _ in range({unseen}):
    program.consume()
print(json.dumps({expression}, default=lambda found: found.to_dict() if hasattr(found, "to_dict") else vars(found)))
sys.stdout.flush()
# Threads of the programs never end.
os._exit(0)
"""


def run_traced(folder: Path, source: str, expression: str, *, unseen: int = 0) -> Any:
    """What an expression says of a program whose `consume()` is called at every slice.

    Args:
        folder: Where to put the program.
        source: The program.
        expression: What to print, in which ``walk`` reads slices.
        unseen: Slices before that.
    """
    (folder / "program.py").write_text(source)
    code = _DRIVER.format(folder=str(folder), expression=expression, unseen=unseen)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=uncovered()
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
