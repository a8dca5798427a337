"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: lru_cache_beyond_memory.py:18
data: fixed
why: lru_cache(maxsize=100_000_000) on ever new arguments, 20 KB each: full at 2 TB, which no machine gets to.
"""

import functools
import itertools

calls = itertools.count(1)


@functools.lru_cache(maxsize=100_000_000)
def features(step):
    return bytearray(20_000)  # the leak


def consume(batch):
    features(next(calls))
