"""
verdict: leak or inconclusive
cause: python-objects
site: ring_beside_a_list.py:29
holder: beginnings
process: main
why: the first words of each row stay, beside garbage in cycles that waits for the collector to the end.
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
beginnings = []
for step in range(1100):
    start = step * 20 % len(dataset)
    for text in dataset[start : start + 20]["text"]:
        latest.append(Sentence(text))
        beginnings.append(tuple(text[:60].split()))  # the leak
    time.sleep(0.009)
print(len(latest), len(beginnings))
