"""
verdict: no-leak or inconclusive
why: answers are kept for four seconds, so that there are as many from then on, a third of the run.
"""

import sys
import time
from collections import OrderedDict

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


class Answers:
    def __init__(self, seconds):
        self.seconds, self.known = seconds, OrderedDict()

    def put(self, key, answer):
        now = time.monotonic()
        self.known[key] = now, answer
        while next(iter(self.known.values()))[0] < now - self.seconds:
            self.known.popitem(last=False)


answers = Answers(seconds=4.0)
for step in range(1000):
    start = step * 20 % len(dataset)
    for number, text in enumerate(dataset[start : start + 20]["text"]):
        answers.put((step, number), text[:200].split())
    time.sleep(0.01)
print(len(answers.known))
