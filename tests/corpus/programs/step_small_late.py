"""
verdict: no-leak or inconclusive
data: fixed
why: at the 140th call 300 KB are allocated once and stay.
"""

import itertools

calls = itertools.count(1)
table = None


def consume(batch):
    global table
    if next(calls) == 140:
        table = bytearray(300_000)
