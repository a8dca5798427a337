"""
verdict: leak
cause: shared-memory
origin: user-code
site: devshm_files.py:21
rate: 65536
data: fixed
why: a file of 64 KB in /dev/shm is never removed: memory that is in no figure of the process.
"""

import itertools
import os
from pathlib import Path

PREFIX = f"hfmemdebug-corpus-{os.getpid()}-"
SHM = Path("/dev/shm")
calls = itertools.count()


def consume(batch):
    (SHM / f"{PREFIX}{next(calls)}").write_bytes(bytes(64 * 1024))  # the leak


def teardown():
    for path in SHM.glob(PREFIX + "*"):
        path.unlink()
