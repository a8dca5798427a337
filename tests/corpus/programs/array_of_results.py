"""
verdict: no-leak
finding: bounded-cache
data: fixed
libraries: numpy
why: an array for all results is made before the first slice; its pages come into being as rows of it are written.
"""

import itertools

import numpy as np

results = np.zeros((20_000, 12_000), np.float32)
place = itertools.count()


def consume(batch):
    results[next(place)] = len(batch["text"][0])
