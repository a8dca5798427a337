"""
verdict: no-leak or inconclusive
data: fixed
why: an LRU as a subclass of OrderedDict, as people copy it, for 3000 entries: bounded, but only after 3000 slices.
"""

import collections
import itertools

numbers = itertools.count()


class Lru(collections.OrderedDict):
    def __init__(self, maxsize):
        super().__init__()
        self.maxsize = maxsize

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self.maxsize:
            self.popitem(last=False)


cache = Lru(3000)


def consume(batch):
    cache[next(numbers)] = bytearray(6000)
