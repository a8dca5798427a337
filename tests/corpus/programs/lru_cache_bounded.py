"""
verdict: no-leak
finding: bounded-cache or step
data: fixed
fast: yes
why: lru_cache(maxsize=128) on ever new arguments, of 4 KB each: it fills within 128 calls and stays.
"""

import functools
import itertools

calls = itertools.count(1)


@functools.lru_cache(maxsize=128)
def features(step):
    return bytearray(4000)


def consume(batch):
    features(next(calls))
