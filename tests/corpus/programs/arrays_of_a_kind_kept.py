"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: arrays_of_a_kind_kept.py:21
data: fixed
why: the lengths of each of fifty kinds stay in arrays that are made anew with more; what is cut is another array.
"""

import itertools

import numpy as np

numbers = itertools.count()
of_kind = {}


def consume(batch):
    kind = next(numbers) % 50
    lengths = [float(len(text)) for text in batch["text"][:60]]
    of_kind[kind] = np.concatenate([of_kind.get(kind, np.zeros(0)), lengths])  # the leak
    last = of_kind[kind][-60_000:]
    return last.mean()
