"""
verdict: leak
cause: python-objects
origin: user-code
site: starts_in_second_epoch.py:19
holder: kept
data: fixed
why: nothing happens for 60 calls, then 2 KB stay at every slice.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    if next(calls) > 60:
        kept.append(bytearray(2000))  # the leak
