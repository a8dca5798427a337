"""
verdict: no-leak or inconclusive
data: fixed
why: a cache whose entries expire after a fifth of a second: as many as that brings, and no more.
"""

import collections
import itertools
import time

numbers = itertools.count()
entries = collections.OrderedDict()


def remember(key, value):
    now = time.monotonic()
    entries[key] = (now, value)
    while entries:
        oldest = next(iter(entries))
        if now - entries[oldest][0] < 0.2:
            break
        del entries[oldest]


def consume(batch):
    remember(next(numbers), bytearray(8000))
