"""
verdict: leak
cause: python-objects
origin: user-code
site: sawtooth_with_trend.py:21
holder: index
rate: 4200
data: fixed
why: a buffer of up to 2 MB is emptied at every twentieth call, an index of 4 KB a call is not.
"""

import itertools

buffer = []
index = []
calls = itertools.count(1)


def consume(batch):
    buffer.append(bytearray(100_000))
    index.append(bytearray(4096))  # the leak
    if next(calls) % 20 == 0:
        buffer.clear()
