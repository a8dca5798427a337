"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: numpy_concatenate.py:20
rate: 3200
data: fixed
libraries: numpy
why: an array is replaced at every slice by itself and 400 numbers more.
"""

import numpy as np

everything = np.empty(0)


def consume(batch):
    global everything
    lengths = [float(len(text)) for text in batch["text"]]
    everything = np.concatenate([everything, lengths])  # the leak
