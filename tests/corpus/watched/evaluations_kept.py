"""
verdict: leak or inconclusive
cause: python-objects
site: evaluations_kept.py:21
process: main
why: six evaluations in the run, and the predictions of every one of them stay.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

evaluations = {}
for step in range(1000):
    start = step * 20 % len(dataset)
    total = sum(len(text) for text in dataset[start : start + 20]["text"])
    if step % 160 == 159:
        evaluations[step] = [text[:150] + str(step) for text in dataset[:3000]["text"]]  # the leak
    time.sleep(0.011)
print(total, len(evaluations))
