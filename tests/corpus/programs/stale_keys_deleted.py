"""
verdict: no-leak or inconclusive
data: fixed
why: after each slice what is 30,000 slices old is looked for and deleted; nothing is as old yet.
"""

import itertools

numbers = itertools.count()
texts = {}


def consume(batch):
    number = next(numbers)
    texts[number] = batch["text"][0][:300] + str(number)
    stale = [key for key in texts if key < number - 30_000]
    for key in stale:
        del texts[key]
