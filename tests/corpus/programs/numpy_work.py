"""
verdict: no-leak
data: numeric
options: --format numpy
libraries: numpy
why: statistics of arrays, nothing is kept.
"""

import numpy as np


def consume(batch):
    scores = batch["score"]
    normal = (scores - scores.mean()) / (scores.std() + 1e-9)
    np.dot(normal, normal)
    np.sort(batch["label"])
