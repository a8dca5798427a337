"""
verdict: no-leak or inconclusive
why: words are counted that come by Zipf's law from a vocabulary of 300,000: new ones come ever more seldom.
"""

import sys
import time

import datasets
import numpy as np

dataset = datasets.load_from_disk(sys.argv[1])

generator = np.random.default_rng(1)
shares = np.cumsum(1 / np.arange(1, 300_001))
counts = {}
for step in range(1200):
    start = step * 20 % len(dataset)
    size = 40 * len(dataset[start : start + 20]["text"])
    for word in np.searchsorted(shares, generator.random(size) * shares[-1]).tolist():
        name = f"word{word}"
        counts[name] = counts.get(name, 0) + 1
    time.sleep(0.009)
print(len(counts))
