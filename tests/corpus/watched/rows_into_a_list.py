"""
verdict: leak or inconclusive
cause: python-objects
holder: rows
why: the whole program is the reading of a dataset into a list: what it read stays, as it wants; no run can tell.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

rows = []
for number, row in enumerate(dataset):
    rows.append(row)
    if number % 20 == 19:
        time.sleep(0.01)
print(len(rows))
