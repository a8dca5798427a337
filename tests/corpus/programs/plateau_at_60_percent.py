"""
verdict: no-leak
finding: bounded-cache or step
data: fixed
why: a cache fills for the first 120 slices and is full then.
"""

import itertools

cache = {}
calls = itertools.count()


def consume(batch):
    if len(cache) < 120:
        cache[next(calls)] = bytearray(10_000)
