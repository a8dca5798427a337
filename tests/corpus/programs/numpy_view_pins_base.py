"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: numpy_view_pins_base.py:19
holder: firsts
rate: 100000
data: fixed
libraries: numpy
why: a view of one number pins its base of 100 KB at every slice.
"""

import numpy as np

firsts = []


def consume(batch):
    features = np.ones(12_500)  # the leak
    firsts.append(features[:1])
