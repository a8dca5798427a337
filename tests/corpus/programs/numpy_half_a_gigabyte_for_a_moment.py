"""
verdict: no-leak
data: fixed
options: --iterations 25
libraries: numpy
why: 400 MB are allocated, written to and freed at every slice.
"""

import numpy as np


def consume(batch):
    large = np.ones(50_000_000)
    large += 1
