"""
verdict: no-leak
data: fixed
libraries: numpy
why: random generators are made and seeded anew at every slice.
"""

import itertools
import random

import numpy as np

calls = itertools.count(1)


def consume(batch):
    step = next(calls)
    random.seed(step)
    random.sample(batch["text"], 10)
    np.random.default_rng(step).permutation(1000)
