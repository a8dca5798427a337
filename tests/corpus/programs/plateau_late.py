"""
verdict: no-leak or inconclusive
data: fixed
why: a cache fills for 600 slices, three times as long as a usual run takes.
"""

import itertools

cache = {}
calls = itertools.count()


def consume(batch):
    if len(cache) < 600:
        cache[next(calls)] = bytearray(10_000)
