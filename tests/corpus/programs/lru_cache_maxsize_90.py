"""
verdict: no-leak
data: fixed
why: lru_cache(maxsize=90) on ever new arguments: full in the second epoch.
"""

import functools
import itertools

calls = itertools.count(1)


@functools.lru_cache(maxsize=90)
def features(step):
    return bytearray(40_000)


def consume(batch):
    features(next(calls))
