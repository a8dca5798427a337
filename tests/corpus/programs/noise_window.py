"""
verdict: no-leak
data: fixed
why: a window of ten blocks of random sizes; nothing but noise.
"""

import collections
import random

random_numbers = random.Random(11)
window = collections.deque(maxlen=10)


def consume(batch):
    window.append(bytearray(random_numbers.randrange(400_000)))
