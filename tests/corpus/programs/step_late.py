"""
verdict: no-leak
finding: step or bounded-cache
data: fixed
why: at the 110th call 8 MB are allocated once and stay.
"""

import itertools

calls = itertools.count(1)
table = None


def consume(batch):
    global table
    if next(calls) == 110:
        table = b"x" * (8 * 1024**2)
