"""
verdict: no-leak
finding: mmap-file-pages
data: fixed
libraries: numpy
why: a memmap of 48 MB in mode r+ is written piece by piece and flushed: pages of the file, dirty for a while.
"""

import itertools
import tempfile
from pathlib import Path

import numpy as np

PIECES = 160
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "predictions.npy"
calls = itertools.count()
table = None


def setup():
    global table
    np.save(path, np.zeros((PIECES, 75 * 1024), dtype=np.float32))
    table = np.load(path, mmap_mode="r+")


def consume(batch):
    number = next(calls)
    table[number % PIECES] = number
    if number % 10 == 0:
        table.flush()


def teardown():
    folder.cleanup()
