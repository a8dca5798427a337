"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: memmap_rows_kept.py:33
holder: seen
rate: 4096
data: fixed
libraries: numpy
why: a copy of one row of a memmap is kept at every slice: the file is mapped, what was copied from it is not.
"""

import itertools
import tempfile
from pathlib import Path

import numpy as np

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "embeddings.npy"
calls = itertools.count()
table = None
seen = []


def setup():
    global table
    np.save(path, np.ones((4000, 1024), dtype=np.float32))
    table = np.load(path, mmap_mode="r")


def consume(batch):
    row = np.array(table[next(calls) % len(table)])  # the leak
    seen.append(row)


def teardown():
    folder.cleanup()
