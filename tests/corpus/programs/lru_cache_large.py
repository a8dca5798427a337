"""
verdict: no-leak or inconclusive
data: fixed
why: lru_cache(maxsize=1000) on ever new arguments: bounded, but only after a thousand calls.
"""

import functools
import itertools

calls = itertools.count(1)


@functools.lru_cache(maxsize=1000)
def features(step):
    return bytearray(4000)


def consume(batch):
    features(next(calls))
