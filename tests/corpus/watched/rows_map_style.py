"""
verdict: no-leak
fast: yes
why: a single process reads a mapped dataset row by row, epoch after epoch.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

words = 0
for _ in range(6):
    for number, row in enumerate(dataset):
        words += len(row["text"].split())
        if number % 100 == 99:
            time.sleep(0.004)
print(words)
