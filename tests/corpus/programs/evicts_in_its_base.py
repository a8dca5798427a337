"""
verdict: no-leak or inconclusive
data: fixed
why: a cache of 50,000 entries, whose base class takes out the oldest in a method that each new entry calls.
"""

import itertools

numbers = itertools.count()


class Bounded:
    limit = 50_000

    def __init__(self):
        self.entries = {}

    def evict(self):
        while len(self.entries) > self.limit:
            self.entries.pop(next(iter(self.entries)))


class Features(Bounded):
    def put(self, key, value):
        self.entries[key] = value
        self.evict()


features = Features()


def consume(batch):
    number = next(numbers)
    features.put(number, batch["text"][0][:300] + str(number))
