"""
verdict: leak
cause: python-objects
origin: user-code
site: starts_in_third_epoch.py:20
holder: kept
rate: 2060
data: fixed
why: for a hundred slices nothing stays, then 2 KB at each.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    if next(calls) > 100:
        kept.append(bytearray(2000))  # the leak
