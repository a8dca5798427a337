"""
verdict: no-leak or inconclusive
finding: bounded-cache
why: an lru_cache of a limited size fills until the middle of the run.
"""

import functools
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


@functools.lru_cache(maxsize=8000)
def cut(number, text):
    return [text[:300] + str(number), number]


total = 0
for step in range(1600):
    start = step * 10 % len(dataset)
    for number, text in enumerate(dataset[start : start + 10]["text"]):
        total += len(cut(step * 10 + number, text))
    time.sleep(0.008)
print(total)
