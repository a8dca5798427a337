"""
verdict: no-leak
data: fixed
libraries: numpy
why: results go into an array that was allocated once and is used as a ring.
"""

import itertools

import numpy as np

ring = np.zeros((64, 400))
calls = itertools.count()


def consume(batch):
    row = ring[next(calls) % len(ring)]
    row[: len(batch["text"])] = [len(text) for text in batch["text"]]
