"""
verdict: no-leak
data: fixed
why: a dict cache is cleared whenever it has 30 entries.
"""

import itertools

cache = {}
calls = itertools.count()


def consume(batch):
    if len(cache) >= 30:
        cache.clear()
    cache[next(calls)] = bytearray(10_000)
