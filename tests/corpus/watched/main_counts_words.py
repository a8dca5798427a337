"""
verdict: leak
cause: python-objects
site: main_counts_words.py:24
holder: counts
why: a counter whose keys are made of the step, so that no key comes twice.
"""

import sys
import time
from collections import Counter

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


counts = Counter()
step = 0
for _ in range(8):
    for start in range(0, len(dataset), 200):
        batch = dataset[start : start + 200]["text"]
        for number, text in enumerate(batch[::8]):
            counts[f"{step}-{number}-{text[:8]}"] += 1  # the leak
        step += 1
        time.sleep(0.012)
print(len(counts))
