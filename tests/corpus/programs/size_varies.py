"""
verdict: leak
cause: python-objects
origin: user-code
site: size_varies.py:19
holder: kept
rate: 5000
data: fixed
why: at every slice a block of random size stays, from nothing to 30 KB, small ones more often.
"""

import random

random_numbers = random.Random(23)
kept = []


def consume(batch):
    kept.append(bytearray(min(30_000, int(random_numbers.expovariate(1 / 5000)))))  # the leak
