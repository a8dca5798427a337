"""
verdict: no-leak or inconclusive
data: fixed
why: a cache counts the bytes of its values and drops the oldest above 64 MB, which takes more than 1500 slices.
"""

import itertools

numbers = itertools.count()


class Blobs:
    def __init__(self, most):
        self.most = most
        self.bytes = 0
        self.blobs = {}

    def put(self, key, blob):
        self.blobs[key] = blob
        self.bytes += len(blob)
        while self.bytes > self.most:
            oldest = next(iter(self.blobs))
            self.bytes -= len(self.blobs.pop(oldest))


blobs = Blobs(64 * 1024**2)


def consume(batch):
    blobs.put(next(numbers), "".join(batch["text"][:8]).encode().ljust(40_000, b"."))
