"""
verdict: leak
cause: python-objects
site: limit_that_nobody_keeps.py:29
process: main
why: a store has a capacity and writes a line when it is over it; nothing is ever taken out.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


class Store:
    def __init__(self, capacity):
        self.entries = []
        self.capacity = capacity

    def put(self, value):
        if len(self.entries) > self.capacity:
            print("the store is large", file=sys.stderr)
        self.entries.append(value)


def remember(row, number):
    store.put(row["text"][:300] + str(number))  # the leak


store = Store(300_000)
for epoch in range(2):
    for number, row in enumerate(dataset):
        remember(row, number)
        if number % 50 == 49:
            time.sleep(0.012)
print(len(store.entries))
