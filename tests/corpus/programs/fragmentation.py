"""
verdict: no-leak
data: varying
why: of 2000 blocks of random sizes 200 are replaced at every slice; the heap fragments up to a point.
"""

import random

random_numbers = random.Random(13)
blocks = []


def setup():
    blocks.extend(bytearray(random_numbers.randrange(600, 16_000)) for _ in range(2000))


def consume(batch):
    for _ in range(200):
        blocks[random_numbers.randrange(2000)] = bytearray(random_numbers.randrange(600, 16_000))
