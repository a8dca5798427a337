"""
verdict: no-leak
why: the dataset is read into a list at first, and then worked on for most of the time.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

rows = []
for row in dataset:
    rows.append(row)
total = 0
for step in range(900):
    total += sum(len(row["text"]) for row in rows[step * 20 : step * 20 + 200])
    time.sleep(0.01)
print(total)
