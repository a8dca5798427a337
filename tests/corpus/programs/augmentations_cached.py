"""
verdict: no-leak or inconclusive
data: varying
why: of each slice's text one of ten augmentations is cached, another in each epoch: after ten epochs none is new.
"""

import itertools

calls = itertools.count()
cache = {}


def augmented(text, seed):
    key = (text, seed)
    if key not in cache:
        cache[key] = text[seed:] + text[:seed] + "." * 4000
    return cache[key]


def consume(batch):
    augmented(batch["text"][0], (next(calls) // 50) % 10)
