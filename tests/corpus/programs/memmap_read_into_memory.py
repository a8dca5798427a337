"""
verdict: no-leak
finding: bounded-cache or step
data: fixed
libraries: numpy
why: the pieces of a memmap are copied into memory once each, 25 MB in all, and then reused: a cache with an end.
"""

import itertools
import tempfile
from pathlib import Path

import numpy as np

PIECES = 100
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "embeddings.npy"
calls = itertools.count()
table = None
pieces = {}


def setup():
    global table
    np.save(path, np.ones((PIECES, 64 * 1024), dtype=np.float32))
    table = np.load(path, mmap_mode="r")


def consume(batch):
    number = next(calls) % PIECES
    if number not in pieces:
        pieces[number] = np.array(table[number])
    pieces[number].sum()


def teardown():
    folder.cleanup()
