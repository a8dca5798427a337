"""
verdict: no-leak or inconclusive
data: fixed
why: an array of the last 2,500 rows of features, made anew of itself and one more.
"""

import numpy as np

window = np.empty((0, 256))


def consume(batch):
    global window
    features = np.full((1, 256), float(len(batch["text"])))
    window = np.concatenate([window, features])[-2500:]
