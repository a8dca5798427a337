"""
verdict: no-leak
data: fixed
why: a WeakValueDictionary forgets what died.
"""

import itertools
import weakref


class Sample:
    def __init__(self, text):
        self.text = text


cache = weakref.WeakValueDictionary()
serial = itertools.count()


def consume(batch):
    samples = [Sample(text) for text in batch["text"][:100]]
    for sample in samples:
        cache[next(serial)] = sample
