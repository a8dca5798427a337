"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: weak_keys_held_by_values.py:25
data: fixed
rate: 4900
why: in a WeakKeyDictionary each value refers to its own key, which therefore never dies.
"""

import weakref


class Batch:
    def __init__(self, texts):
        self.first = texts[0]


class Features:
    def __init__(self, batch):
        self.batch = batch
        self.vector = None

    def compute(self):
        self.vector = bytearray(3000)  # the leak


features = weakref.WeakKeyDictionary()


def consume(rows):
    batch = Batch(rows["text"])
    features[batch] = Features(batch)
    features[batch].compute()
