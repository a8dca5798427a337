"""
verdict: no-leak
data: fixed
why: a buffer of up to 2 MB is emptied at every twentieth call.
"""

import itertools

buffer = []
calls = itertools.count(1)


def consume(batch):
    buffer.append(bytearray(100_000))
    if next(calls) % 20 == 0:
        buffer.clear()
