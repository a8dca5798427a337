"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: numpy_two_megabytes.py:19
holder: kept
rate: 2000000
data: fixed
libraries: numpy
why: an array of 2 MB stays at every slice.
"""

import numpy as np

kept = []


def consume(batch):
    kept.append(np.ones(250_000))  # the leak
