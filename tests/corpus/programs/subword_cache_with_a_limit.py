"""
verdict: no-leak
finding: bounded-cache or step
data: fixed
why: a cache of words takes 10,000 entries, a hundred at each slice, and no more from then on.
"""

import itertools

cache = {}
numbers = itertools.count()


def tokenize(word):
    if word in cache:
        return cache[word]
    pieces = [word[:3], word[3:]]
    if len(cache) < 10_000:
        cache[word] = pieces
    return pieces


def consume(batch):
    for _ in range(100):
        tokenize(f"word{next(numbers)}")
