"""
verdict: leak
cause: python-objects
origin: user-code
site: lru_cache_unbounded.py:21
holder: tokenize
rate: 2100
data: fixed
fast: no
why: lru_cache(maxsize=None) on a function that is called with ever new arguments.
"""

import functools
import itertools

calls = itertools.count(1)


@functools.lru_cache(maxsize=None)  # noqa: UP033
def tokenize(text, serial):
    return (*range(1000, 1000 + 40), serial, text[:10] * 30)  # the leak


def consume(batch):
    tokenize("text", next(calls))
