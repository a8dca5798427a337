"""
verdict: no-leak or inconclusive
why: an lru_cache of 400,000 entries of a few numbers each, which a tenth of that many rows do not fill.
"""

import functools
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


@functools.lru_cache(maxsize=400_000)
def features(epoch, number):
    return [float(epoch * number + index) for index in range(4)]


total = 0.0
for epoch in range(2):
    for number, row in enumerate(dataset):
        total += features(epoch, number)[0] + len(row["text"])
        if number % 50 == 49:
            time.sleep(0.012)
print(total)
