"""
verdict: leak or inconclusive
cause: python-objects
origin: user-code
site: every_second_epoch.py:20
holder: kept
rate: 2030
data: fixed
why: in every second epoch 4 KB stay at each slice, as a validation that runs now and then would keep.
"""

import itertools

kept = []
calls = itertools.count()


def consume(batch):
    if next(calls) // 50 % 2:
        kept.append(bytearray(4000))  # the leak
