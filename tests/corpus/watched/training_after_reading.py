"""
verdict: leak or inconclusive
cause: python-objects
process: main
why: features are read for three quarters of the run; the training after it, which reads no rows, keeps its losses.
"""

import sys
import time

import datasets
import numpy as np

dataset = datasets.load_from_disk(sys.argv[1])

features = np.zeros((20_000, 16))
for step in range(800):
    start = step * 25 % 20_000
    lengths = [len(text) for text in dataset[start : start + 25]["text"]]
    features[start : start + 25] = np.array(lengths)[:, None]
    time.sleep(0.01)

history = []
for step in range(280):
    rows = features[step * 20 : step * 20 + 400]
    losses = [float(loss) for loss in (rows - step).sum(axis=1)]
    history.append([{"step": step, "loss": loss} for loss in losses])
    time.sleep(0.01)
print(len(history))
