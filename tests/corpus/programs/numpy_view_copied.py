"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: numpy_view_copied.py:20
holder: firsts
rate: 125
data: fixed
libraries: numpy
why: a copy of one number of each slice is kept: small, but without an end.
"""

import numpy as np

firsts = []


def consume(batch):
    features = np.ones(12_500)
    firsts.append(features[:1].copy())  # the leak
