"""
verdict: no-leak or inconclusive
finding: bounded-cache
why: results are kept until there are enough of them, after six tenths of the run.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

enough = []
for step in range(1200):
    start = step * 20 % len(dataset)
    texts = [text + str(step) for text in dataset[start : start + 20]["text"]]
    if step < 720:
        enough.append(texts)
    time.sleep(0.01)
print(len(enough))
