"""
verdict: no-leak or inconclusive
why: an lru_cache that has room for five times as many as come, with sixty numbers for each.
"""

import functools
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


@functools.lru_cache(maxsize=200_000)
def features(epoch, number, length):
    return [epoch + number * 1.5 + length / (1 + place) for place in range(60)]


total = 0.0
for epoch in range(2):
    for number, row in enumerate(dataset):
        total += features(epoch, number, len(row["text"]))[-1]
        if number % 50 == 49:
            time.sleep(0.012)
print(total)
