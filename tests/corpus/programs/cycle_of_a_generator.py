"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: cycle_of_a_generator.py:21
rate: 5060
data: fixed
why: itertools.cycle saves a copy of all that it has given, and its source, an endless loader, never ends.
"""

import itertools
import random

random_numbers = random.Random(5)
texts = []


def noise():
    while True:
        # What is augmented anew each time is never the same.
        yield bytearray(random_numbers.randbytes(8)) + bytearray(4992)  # the leak


feed = itertools.cycle(noise())


def consume(batch):
    mask = next(feed)
    texts[:] = [text[mask[0] % 8 :] for text in batch["text"][:10]]
