"""
verdict: leak
cause: python-objects
site: cycles_without_collector.py:19, cycles_without_collector.py:26
why: the same with the collector turned off: nothing takes the cycles away.
"""

import gc
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


class Node:
    def __init__(self, text):
        self.text, self.me = text, self  # the leak


gc.disable()
for step in range(1200):
    start = step * 20 % len(dataset)
    for text in dataset[start : start + 20]["text"]:
        node = Node(text + str(step))  # the leak
    time.sleep(0.009)
print(len(node.text))
