"""
verdict: leak
cause: copy-on-write or file-mapping
origin: user-code
site: memmap_copies_kept.py:28
holder: views
rate: 1048576
data: fixed
libraries: numpy
why: a file of 1 MB is mapped anew in mode c at every slice, written to, and kept: copies without a bound.
"""

import tempfile
from pathlib import Path

import numpy as np

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "weights.bin"
views = []


def setup():
    path.write_bytes(bytes(1024**2))


def consume(batch):
    view = np.memmap(path, dtype=np.uint8, mode="c")  # the leak
    view += 1
    views.append(view)


def teardown():
    folder.cleanup()
