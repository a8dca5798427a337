"""
verdict: no-leak or inconclusive
why: a dictionary that gives its oldest entry away once it has 400,000, of which a tenth come.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])
MOST = 400_000
texts = {}

total = 0
for epoch in range(2):
    for number, row in enumerate(dataset):
        texts[epoch, number] = row["text"][:100] + str(number)
        if len(texts) > MOST:
            texts.pop(next(iter(texts)))
        total += len(row["text"])
        if number % 50 == 49:
            time.sleep(0.012)
print(total)
