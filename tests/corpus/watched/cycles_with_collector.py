"""
verdict: no-leak
why: cycles of garbage wait for the collector and go when it comes.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


class Node:
    def __init__(self, text):
        self.text, self.me = text, self


for step in range(1200):
    start = step * 20 % len(dataset)
    for text in dataset[start : start + 20]["text"]:
        node = Node(text + str(step))
    time.sleep(0.009)
print(len(node.text))
