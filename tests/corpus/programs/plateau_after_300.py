"""
verdict: no-leak or inconclusive
data: fixed
why: a cache fills evenly for 300 slices and is full then.
"""

import itertools

cache = {}
calls = itertools.count()


def consume(batch):
    if len(cache) < 300:
        cache[next(calls)] = bytearray(10_000)
