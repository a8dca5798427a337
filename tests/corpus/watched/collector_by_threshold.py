"""
verdict: leak
cause: python-objects
site: collector_by_threshold.py:18, collector_by_threshold.py:26
process: main
why: the collector's threshold is 0, as guides to faster training say, so that nothing takes the cycles away.
"""

import gc
import sys
import time

import datasets


class Sentence:
    def __init__(self, text):
        self.words, self.me = text[:100].split(), self  # the leak


dataset = datasets.load_from_disk(sys.argv[1])
gc.set_threshold(0)
for step in range(1100):
    start = step * 20 % len(dataset)
    for text in dataset[start : start + 20]["text"]:
        sentence = Sentence(text)  # the leak
    time.sleep(0.009)
print(len(sentence.words))
