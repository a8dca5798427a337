"""
verdict: no-leak or inconclusive
why: the last 3000 sentences are kept, each a cycle that lives too long for the collector's first looks at it.
"""

import sys
import time
from collections import deque

import datasets


class Sentence:
    def __init__(self, text):
        self.words, self.me = text[:100].split(), self


dataset = datasets.load_from_disk(sys.argv[1])
latest = deque(maxlen=3000)
for step in range(1100):
    start = step * 20 % len(dataset)
    latest.extend(Sentence(text) for text in dataset[start : start + 20]["text"])
    time.sleep(0.009)
print(len(latest))
