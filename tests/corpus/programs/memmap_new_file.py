"""
verdict: no-leak
finding: mmap-file-pages
data: fixed
libraries: numpy
why: results are written into a new memmap of 64 MB (mode w+) whose size is known: pages of the file.
"""

import itertools
import tempfile
from pathlib import Path

import numpy as np

PIECES = 160
folder = tempfile.TemporaryDirectory()
calls = itertools.count()
table = None


def setup():
    global table
    path = Path(folder.name) / "results.mmap"
    table = np.memmap(path, dtype=np.float32, mode="w+", shape=(PIECES, 100 * 1024))


def consume(batch):
    table[next(calls) % PIECES] = len(batch["text"])


def teardown():
    folder.cleanup()
