"""
verdict: no-leak
finding: mmap-file-pages
data: fixed
libraries: numpy
why: a .npy file of 32 MB is mapped as raw bytes, header and all: wrong numbers, and still pages of a file.
"""

import itertools
import tempfile
from pathlib import Path

import numpy as np

PIECES = 160
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "embeddings.npy"
calls = itertools.count()
table = None


def setup():
    global table
    np.save(path, np.ones((8192, 1024), dtype=np.float32))
    table = np.memmap(path, mode="r")


def consume(batch):
    size = len(table) // PIECES
    start = (next(calls) % PIECES) * size
    table[start : start + size].max()


def teardown():
    folder.cleanup()
