"""
verdict: no-leak or inconclusive
data: fixed
why: a cache with 400 possible keys, drawn at random, two at each slice: it fills for several hundred slices.
"""

import random

random_numbers = random.Random(5)
cache = {}


def consume(batch):
    for _ in range(2):
        key = random_numbers.randrange(400)
        if key not in cache:
            cache[key] = bytearray(5000)
