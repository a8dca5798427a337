"""
verdict: leak
cause: python-objects
origin: user-code
site: quadratic.py:18
holder: kept
data: fixed
why: the n-th call keeps 64 times n bytes.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    kept.append(bytearray(64 * next(calls)))  # the leak
