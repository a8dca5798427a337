"""Real processes for the tests: each says when it is ready, and is ended with the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

MB = 1 << 20
READY = "import sys; print('ready', flush=True); sys.stdin.read()\n"


@contextmanager
def started(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program that has done its work and waits."""
    command = [sys.executable, "-c", f"{code}\n{READY}", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


# Four forks that wait for a pipe to close: they end with their parent, however that ends.
FORKS = """
import os
inner, outer = os.pipe()
def fork(count, work=lambda: None):
    ready = os.pipe()
    for _ in range(count):
        if os.fork() == 0:
            os.close(outer)
            work()
            os.write(ready[1], b"!")
            os.read(inner, 1)
            os._exit(0)
    for _ in range(count):
        os.read(ready[0], 1)
"""
