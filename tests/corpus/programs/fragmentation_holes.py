"""
verdict: no-leak
data: fixed
why: 20 MB of small blocks are allocated once, every second one is freed; the holes are used again and again.
"""

import itertools

calls = itertools.count(1)
blocks = []


def consume(batch):
    if next(calls) == 5:
        blocks.extend(bytearray(1000) for _ in range(20_000))
        del blocks[::2]
    [bytearray(900) for _ in range(5000)]
