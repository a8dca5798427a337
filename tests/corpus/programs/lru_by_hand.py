"""
verdict: no-leak or inconclusive
data: fixed
why: an LRU of 600 entries made of an OrderedDict: it fills evenly, one entry at each slice, and evicts then.
"""

import collections
import itertools

calls = itertools.count()
cache = collections.OrderedDict()


def consume(batch):
    cache[next(calls)] = bytearray(4000)
    if len(cache) > 600:
        cache.popitem(last=False)
