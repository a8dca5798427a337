"""
verdict: no-leak or inconclusive
data: fixed
why: at the 170th call 2 MB are allocated once and stay.
"""

import itertools

calls = itertools.count(1)
table = None


def consume(batch):
    global table
    if next(calls) == 170:
        table = b"x" * (2 * 1024**2)
