"""
verdict: leak
cause: python-objects
origin: user-code
site: burst_each_seventh.py:20
holder: kept
rate: 440
data: fixed
why: at every seventh slice a block of 3 KB stays, in between nothing.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    if next(calls) % 7 == 0:
        kept.append(bytearray(3000))  # the leak
