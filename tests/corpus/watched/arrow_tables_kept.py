"""
verdict: leak
cause: arrow-pool
process: main
why: upper-case copies of slices stay in a list, in Arrow's memory.
"""

import sys
import time

import datasets
import pyarrow.compute as pc

dataset = datasets.load_from_disk(sys.argv[1])


kept = []
table = dataset.with_format("arrow")
for step in range(900):
    start = step * 100 % len(dataset)
    column = table[start : start + 100]["text"]
    kept.append(pc.utf8_upper(column.slice(0, 10)))
    time.sleep(0.01)
print(len(kept))
