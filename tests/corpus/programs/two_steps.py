"""
verdict: no-leak
data: fixed
why: one block of 3 MB at the 20th call and one at the 90th, then nothing.
"""

import itertools

calls = itertools.count(1)
kept = []


def consume(batch):
    if next(calls) in (20, 90):
        kept.append(b"x" * (3 * 1024**2))
