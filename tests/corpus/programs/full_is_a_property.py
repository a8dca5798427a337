"""
verdict: no-leak or inconclusive
data: fixed
why: a store of 50,000 entries that says in a property whether it is full, and then gives one away.
"""

import itertools

numbers = itertools.count()


class Store:
    def __init__(self, size):
        self.entries = {}
        self.size = size

    @property
    def is_full(self):
        return len(self.entries) >= self.size

    def put(self, key, value):
        if self.is_full:
            self.entries.pop(next(iter(self.entries)))
        self.entries[key] = value


store = Store(50_000)


def consume(batch):
    number = next(numbers)
    store.put(number, batch["text"][0][:300] + str(number))
