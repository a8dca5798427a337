"""
verdict: no-leak
finding: bounded-cache or copy-on-write or step
data: fixed
why: a private mapping of an 8 MB file is written piece by piece: each page is copied once, 8 MB at most.
"""

import itertools
import mmap
import tempfile

SIZE = 8 * 1024**2
PIECES = 100
file = tempfile.TemporaryFile()  # noqa: SIM115
calls = itertools.count()
view = None


def setup():
    global view
    file.truncate(SIZE)
    view = mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_COPY)


def consume(batch):
    size = SIZE // PIECES
    start = (next(calls) % PIECES) * size
    view[start : start + size] = b"x" * size
