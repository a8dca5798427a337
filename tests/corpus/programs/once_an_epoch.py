"""
verdict: leak or inconclusive
cause: python-objects
origin: user-code
site: once_an_epoch.py:20
holder: kept
rate: 10000
data: fixed
why: with the first slice of each fifty half a megabyte stays: what an epoch keeps, not a slice.
"""

import itertools

kept = []
calls = itertools.count()


def consume(batch):
    if next(calls) % 50 == 0:
        kept.append(bytearray(500_000))  # the leak
