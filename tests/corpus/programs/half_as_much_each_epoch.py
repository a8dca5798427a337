"""
verdict: no-leak or inconclusive
data: fixed
why: what stays at a slice halves with every fifty slices, from 64 KB on: all in all no more than 6.4 MB.
"""

import itertools

history = []
calls = itertools.count()


def consume(batch):
    size = 65_536 >> (next(calls) // 50)
    if size:
        history.append(bytes(size))
