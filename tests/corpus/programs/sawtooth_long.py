"""
verdict: no-leak
data: fixed
why: a buffer is flushed at every 120th call only: for most of a run it looks like a leak.
"""

import itertools

buffer = []
calls = itertools.count(1)


def consume(batch):
    buffer.append(bytearray(20_000))
    if next(calls) % 120 == 0:
        buffer.clear()
