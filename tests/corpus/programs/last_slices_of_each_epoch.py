"""
verdict: leak
cause: python-objects
origin: user-code
site: last_slices_of_each_epoch.py:20
holder: kept
rate: 205
data: fixed
why: in the last five slices of each epoch of fifty 2 KB stay, in the others nothing.
"""

import itertools

kept = []
calls = itertools.count()


def consume(batch):
    if next(calls) % 50 >= 45:
        kept.append(bytearray(2000))  # the leak
