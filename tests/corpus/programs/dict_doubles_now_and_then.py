"""
verdict: no-leak
finding: step or bounded-cache
data: fixed
why: a table of all words that there are, 60,000 of them, is met in random order, most within the first epochs.
"""

import random

random_numbers = random.Random(41)
vocabulary = {}


def consume(batch):
    for _ in range(3000):
        vocabulary.setdefault(random_numbers.randrange(60_000), len(vocabulary))
