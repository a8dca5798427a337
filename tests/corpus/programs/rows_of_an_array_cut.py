"""
verdict: no-leak or inconclusive
data: fixed
why: an array keeps its last forty thousand rows, of which a hundredth come; there is none at first.
"""

import numpy as np

history = None


def consume(batch):
    global history
    row = np.array([[float(ord(letter)) for letter in batch["text"][0][:100]]])
    history = row if history is None else np.concatenate([history, row])[-40_000:]
