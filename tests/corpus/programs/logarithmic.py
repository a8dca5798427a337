"""
verdict: no-leak
data: fixed
why: a block is kept whenever the number of calls is a power of two.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    number = next(calls)
    if number & (number - 1) == 0:
        kept.append(bytearray(64 * 1024))
