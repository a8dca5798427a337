"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: object_array_doubles.py:27
data: fixed
why: records go into an object array that is doubled when it is full: each record stays, and the array jumps.
"""

import numpy as np


class Log:
    def __init__(self):
        self.used = 0
        self.records = np.empty(16, dtype=object)

    def add(self, record):
        if self.used == len(self.records):
            larger = np.empty(2 * self.used, dtype=object)
            larger[: self.used] = self.records
            self.records = larger
        self.records[self.used] = record
        self.used += 1

    def measure(self, text):
        self.add((len(text) + 0.5, text.count(" ") + 0.5))  # the leak


log = Log()


def consume(batch):
    for text in batch["text"][:8]:
        log.measure(text)
