"""
verdict: no-leak
finding: mmap-file-pages
data: fixed
libraries: numpy
why: a file of 32 MB is mapped once and read piece by piece: pages of a file, bounded by its size.
"""

import itertools
import tempfile
from pathlib import Path

import numpy as np

PIECES = 160
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "embeddings.bin"
calls = itertools.count()
table = None


def setup():
    global table
    path.write_bytes(bytes(32 * 1024**2))
    table = np.memmap(path, dtype=np.uint8, mode="r")


def consume(batch):
    size = len(table) // PIECES
    start = (next(calls) % PIECES) * size
    table[start : start + size].sum()


def teardown():
    folder.cleanup()
