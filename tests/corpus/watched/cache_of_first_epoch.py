"""
verdict: no-leak or inconclusive
finding: bounded-cache or step
why: what the first of three epochs has worked out is kept for the others, as a cache is meant to.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

cache = {}
for _ in range(3):
    for start in range(0, len(dataset), 50):
        if start not in cache:
            cache[start] = [text.upper() + str(start) for text in dataset[start : start + 50]["text"]]
        else:
            total = sum(map(len, cache[start])) + len(dataset[start : start + 50]["text"])
        time.sleep(0.012)
print(total)
