"""
verdict: leak
cause: python-objects
origin: user-code
site: burst_each_33rd.py:20
holder: kept
rate: 1820
data: fixed
why: at every 33rd slice 60 KB stay: an epoch of 50 slices has one or two of them.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    if next(calls) % 33 == 0:
        kept.append(bytearray(60_000))  # the leak
