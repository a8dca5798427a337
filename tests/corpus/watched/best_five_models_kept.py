"""
verdict: no-leak or inconclusive
why: after each evaluation a copy of the model is kept where it is among the best five, and the worst goes.
"""

import copy
import heapq
import random
import sys
import time

import datasets
import numpy as np

dataset = datasets.load_from_disk(sys.argv[1])

random.seed(3)
model = {f"layer{number}": np.zeros((128, 256), dtype=np.float32) for number in range(12)}
best = []
checkpoint = None
for step in range(1100):
    start = step * 20 % len(dataset)
    lengths = [len(text) for text in dataset[start : start + 20]["text"]]
    for weights in model.values():
        weights += 1e-6 * sum(lengths)
    if step % 90 == 89:
        # Predictions of an evaluation are there for a moment.
        predictions = [text[:200] + str(step) for text in dataset[:4000]["text"]]
        score = random.random() + len(predictions)
        heapq.heappush(best, (score, step, copy.deepcopy(model)))
        if len(best) > 5:
            heapq.heappop(best)
        checkpoint = {"step": step, "model": copy.deepcopy(model)}
        del predictions
    time.sleep(0.009)
print(len(best), checkpoint["step"])
