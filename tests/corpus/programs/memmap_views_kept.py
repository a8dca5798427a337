"""
verdict: leak
cause: python-objects
origin: user-code
site: memmap_views_kept.py:32
holder: views
data: fixed
libraries: numpy
why: a view of a memmap is kept at every slice: no data are copied, and yet each view is an object that stays.
"""

import itertools
import tempfile
from pathlib import Path

import numpy as np

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "embeddings.npy"
calls = itertools.count()
table = None
views = []


def setup():
    global table
    np.save(path, np.ones((4000, 1024), dtype=np.float32))
    table = np.load(path, mmap_mode="r")


def consume(batch):
    view = table[next(calls) % len(table)]  # the leak
    views.append(view)


def teardown():
    folder.cleanup()
