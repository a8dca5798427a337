"""
verdict: no-leak or inconclusive
data: fixed
why: a cache of two generations: when the young one has 80 entries it becomes the old one, whose entries go.
"""

import itertools

calls = itertools.count()
young, old = {}, {}


def consume(batch):
    global young, old
    young[next(calls)] = bytearray(10_000)
    if len(young) == 80:
        young, old = {}, young
