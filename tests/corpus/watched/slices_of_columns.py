"""
verdict: no-leak
why: a single process reads slices of a mapped dataset, as a training loop without a loader does.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

length = 0
for _ in range(12):
    for start in range(0, len(dataset), 100):
        length += sum(map(len, dataset[start : start + 100]["text"]))
        time.sleep(0.005)
print(length)
