"""
verdict: leak
cause: python-objects
origin: user-code
site: burst_each_fiftieth.py:20
holder: kept
rate: 600
data: fixed
why: 30 KB stay at every fiftieth slice, which is once in each epoch of fifty.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    if next(calls) % 50 == 0:
        kept.append(bytearray(30_000))  # the leak
