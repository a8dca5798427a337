"""
verdict: no-leak
finding: step
why: in the middle of the run a table is built once and kept.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

table = None
for step in range(1200):
    start = step * 20 % len(dataset)
    texts = dataset[start : start + 20]["text"]
    if step == 600:
        table = {number: f"{texts[0][:80]} {number}" for number in range(150_000)}
    time.sleep(0.01)
print(len(table))
