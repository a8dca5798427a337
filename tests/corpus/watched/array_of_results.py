"""
verdict: no-leak
why: an array for all embeddings is made before the loop, and its pages come into being as they are written.
"""

import sys
import time

import datasets
import numpy as np

dataset = datasets.load_from_disk(sys.argv[1])
STEPS = 1000
embeddings = np.zeros((STEPS, 30_000), np.float32)
for step in range(STEPS):
    start = step * 20 % len(dataset)
    texts = dataset[start : start + 20]["text"]
    embeddings[step] = sum(map(len, texts))
    time.sleep(0.012)
print(embeddings[:, 0].sum())
