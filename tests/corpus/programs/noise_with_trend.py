"""
verdict: leak
cause: python-objects
origin: user-code
site: noise_with_trend.py:22
holder: kept
rate: 20500
data: fixed
why: 20 KB stay at every slice, beside a window of ten blocks of random sizes.
"""

import collections
import random

random_numbers = random.Random(11)
window = collections.deque(maxlen=10)
kept = []


def consume(batch):
    window.append(bytearray(random_numbers.randrange(200_000)))
    kept.append(bytearray(20_000))  # the leak
