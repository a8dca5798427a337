"""
verdict: no-leak or inconclusive
data: fixed
why: a buffer is as large as the largest request so far, and requests are random: records become rare.
"""

import random

random_numbers = random.Random(17)
buffer = bytearray()


def consume(batch):
    global buffer
    wanted = int(random_numbers.expovariate(1 / 200_000))
    if wanted > len(buffer):
        buffer = bytearray(wanted)
