"""
verdict: no-leak or inconclusive
why: one pass over a private map of 96 MB, in place: each page is copied once, evenly, until the run ends.
"""

import sys
import tempfile
import time
from pathlib import Path

import datasets
import numpy as np

dataset = datasets.load_from_disk(sys.argv[1])
ROWS, STEP = 48_000, 60
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "features.npy"
    np.save(path, np.ones((ROWS, 500), np.float32))
    features = np.load(path, mmap_mode="c")
    for start in range(0, ROWS, STEP):
        row = dataset[start % len(dataset)]
        features[start : start + STEP] *= len(row["text"])
        time.sleep(0.015)
    print(features[::1000].sum())
