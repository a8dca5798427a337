"""
verdict: no-leak
data: fixed
why: a cache with 40 possible keys, drawn at random: it fills ever more slowly and is full at last.
"""

import random

random_numbers = random.Random(3)
cache = {}


def consume(batch):
    key = random_numbers.randrange(40)
    if key not in cache:
        cache[key] = bytearray(50_000)
