"""
verdict: no-leak
finding: copy-on-write
data: fixed
libraries: numpy
why: a memmap in mode c is normalised piece by piece for longer than the run: private copies, bounded by the file.
"""

import itertools
import tempfile
from pathlib import Path

import numpy as np

PIECES = 4000
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "features.npy"
calls = itertools.count()
table = None


def setup():
    global table
    np.save(path, np.zeros((PIECES, 32 * 1024), dtype=np.float32))
    table = np.load(path, mmap_mode="c")


def consume(batch):
    table[next(calls) % PIECES] += 1.0


def teardown():
    folder.cleanup()
