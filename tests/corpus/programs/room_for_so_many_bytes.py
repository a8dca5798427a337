"""
verdict: no-leak or inconclusive
data: fixed
why: a store with room for three megabytes: what was put in last makes way for what has no room.
"""

import itertools


class Store:
    def __init__(self, room):
        self.room = room
        self.used = 0
        self.items = {}

    def put(self, key, text):
        while self.used + len(text) > self.room:
            _, old = self.items.popitem()
            self.used -= len(old)
        self.items[key] = text
        self.used += len(text)


store = Store(3_000_000)
numbers = itertools.count()


def consume(batch):
    store.put(next(numbers), batch["text"][0][:500] * 3)
