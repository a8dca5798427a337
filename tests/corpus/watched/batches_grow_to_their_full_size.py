"""
verdict: no-leak or inconclusive
why: a curriculum: batches become longer and longer until they have their full length after half of the rows.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

total = rows = 0
size = 100
while rows < 600_000:
    start = rows % (len(dataset) - 2000)
    batch = [text + str(rows) for text in dataset[start : start + size]["text"]]
    rows += size
    total += len(batch)
    time.sleep(size / 60_000)
    size = min(2000, 100 + rows // 150)
print(total)
