"""
verdict: no-leak or inconclusive
data: fixed
why: a list grows by a block at each slice and is cut to its last twenty entries at every hundredth.
"""

import itertools

calls = itertools.count(1)
entries = []


def consume(batch):
    entries.append(bytearray(12_000))
    if next(calls) % 100 == 0:
        del entries[:-20]
