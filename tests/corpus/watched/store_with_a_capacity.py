"""
verdict: no-leak or inconclusive
why: an object has room for 300,000 entries and says in a method whether it is full; it never is.
"""

import collections
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


class Store:
    def __init__(self, capacity):
        self.entries = collections.OrderedDict()
        self.capacity = capacity

    def is_full(self):
        return len(self.entries) >= self.capacity

    def put(self, key, value):
        if self.is_full():
            self.entries.popitem(last=False)
        self.entries[key] = value


store = Store(300_000)
total = 0
for epoch in range(2):
    for number, row in enumerate(dataset):
        store.put((epoch, number), [float(number), row["text"][:80] + str(number)])
        total += len(row["text"])
        if number % 50 == 49:
            time.sleep(0.012)
print(total)
