"""
verdict: leak
cause: python-objects
origin: user-code
site: three_halves_power.py:20
holder: kept
data: fixed
why: what is kept grows as the slices to the power of 1.5.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    wanted = 2 * next(calls) ** 1.5
    while len(kept) < wanted:
        kept.append(bytearray(1000))  # the leak
