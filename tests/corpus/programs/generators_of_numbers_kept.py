"""
verdict: leak
cause: python-objects
origin: user-code
site: generators_of_numbers_kept.py:18
holder: generators
rate: 2550
data: varying
why: a random.Random with its 2.5 KB of state is kept for each slice.
"""

import random

generators = []


def consume(batch):
    generator = random.Random(len(batch["text"]))  # the leak
    generator.random()
    generators.append(generator)
