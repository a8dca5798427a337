"""
verdict: no-leak or inconclusive
why: of each of fifty kinds the last five thousand texts stay, in lists that an object has; eight hundred come.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


class Kinds:
    def __init__(self):
        self.texts = {}

    def add(self, kind, text):
        self.texts.setdefault(kind, []).append(text)
        self.texts[kind] = self.texts[kind][-5000:]


kinds = Kinds()
total = 0
for epoch in range(2):
    for number, row in enumerate(dataset):
        kinds.add(number * 7 % 50, row["text"][:100] + str(epoch * 50_000 + number))
        total += len(row["text"])
        if number % 50 == 49:
            time.sleep(0.012)
print(total)
