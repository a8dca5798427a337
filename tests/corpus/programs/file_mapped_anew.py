"""
verdict: leak
cause: file-mapping
origin: user-code
site: file_mapped_anew.py:27
holder: views
data: fixed
libraries: numpy
why: the same file of 1 MB is mapped anew at every slice, read, and kept mapped.
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
    view = np.memmap(path, dtype=np.uint8, mode="r")  # the leak
    view.sum()
    views.append(view)


def teardown():
    folder.cleanup()
