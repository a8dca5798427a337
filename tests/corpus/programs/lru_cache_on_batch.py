"""
verdict: leak
cause: python-objects
origin: user-code
holder: length
rate: 200
data: fixed
why: an unbounded functools.cache on a function that takes ever new tuples.
"""

import functools
import itertools

calls = itertools.count(1)


@functools.cache
def length(key):
    return len(key)


def consume(batch):
    length((next(calls), len(batch["text"])))
