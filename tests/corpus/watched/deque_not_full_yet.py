"""
verdict: no-leak or inconclusive
why: a replay memory is a deque of at most 30,000 transitions, of which a run like this one puts in 12,000.
"""

import collections
import random
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])
memory = collections.deque(maxlen=30_000)
chance = random.Random(1)
total = 0.0
for step in range(1200):
    start = step * 10 % len(dataset)
    for text in dataset[start : start + 10]["text"]:
        memory.append((text[:300] + str(step), chance.random(), step % 4))
    total += sum(reward for _, reward, _ in chance.sample(memory, 5))
    time.sleep(0.009)
print(total, len(memory))
