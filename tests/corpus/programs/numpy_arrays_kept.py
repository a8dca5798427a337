"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: numpy_arrays_kept.py:19
holder: kept
rate: 3300
data: fixed
libraries: numpy
why: one array of 400 float64 stays at every slice.
"""

import numpy as np

kept = []


def consume(batch):
    kept.append(np.array([len(text) for text in batch["text"]], dtype=np.float64))  # the leak
