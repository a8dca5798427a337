"""
verdict: no-leak or inconclusive
data: varying
why: of fifty buffers one is replaced by one of another size at each slice.
"""

import random

random_numbers = random.Random(43)
buffers = [b""] * 50


def consume(batch):
    buffers[random_numbers.randrange(50)] = bytearray(int(random_numbers.lognormvariate(11, 1)))
