"""
verdict: no-leak
data: fixed
libraries: numpy
why: the memmap is made anew at every slice and dropped, as a popular recipe has it: nothing stays.
"""

import itertools
import tempfile
from pathlib import Path

import numpy as np

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "embeddings.npy"
calls = itertools.count()


def setup():
    np.save(path, np.ones((4000, 1024), dtype=np.float32))


def consume(batch):
    table = np.load(path, mmap_mode="r")
    table[next(calls) % len(table)].sum()


def teardown():
    folder.cleanup()
