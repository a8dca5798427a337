"""
verdict: leak or inconclusive
cause: python-objects
origin: user-code
site: square_root.py:19
holder: kept
data: fixed
why: what is kept grows as the square root of the slices: ever more slowly and without end.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    while len(kept) < 60 * next(calls) ** 0.5:
        kept.append(bytearray(4000))  # the leak
