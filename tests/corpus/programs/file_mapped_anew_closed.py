"""
verdict: no-leak
data: fixed
libraries: numpy
why: the same file is mapped anew at every slice, read, and let go.
"""

import tempfile
from pathlib import Path

import numpy as np

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "weights.bin"


def setup():
    path.write_bytes(bytes(1024**2))


def consume(batch):
    np.memmap(path, dtype=np.uint8, mode="r").sum()


def teardown():
    folder.cleanup()
