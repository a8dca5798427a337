"""
verdict: no-leak
data: own
why: an iterable of random lengths, made anew in each epoch, with a shuffle buffer that it drops.
"""

import random


def rows():
    random_numbers = random.Random(1)
    buffer = []
    for _ in range(80):
        buffer.append({"text": ["x" * random_numbers.randrange(100_000) for _ in range(5)]})
        if len(buffer) > 10:
            yield buffer.pop(random_numbers.randrange(len(buffer)))
    yield from buffer
