"""
verdict: leak or inconclusive
cause: python-objects
why: it grows from the second of three epochs on.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

kept = []
for epoch in range(3):
    for start in range(0, len(dataset), 50):
        texts = dataset[start : start + 50]["text"]
        if epoch > 0:
            kept.append([text + str(epoch) for text in texts])
        time.sleep(0.01)
print(len(kept))
