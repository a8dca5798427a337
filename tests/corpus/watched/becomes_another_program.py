"""
verdict: leak
cause: python-objects
site: becomes_another_program.py:23
why: a launcher that becomes the program that it starts, as wrappers do.
"""

import os
import sys
import time

if len(sys.argv) < 3:
    time.sleep(0.5)
    os.execv(sys.executable, [sys.executable, *sys.argv, "inner"])

import datasets

dataset = datasets.load_from_disk(sys.argv[1])
kept = []
for step in range(1000):
    start = step * 20 % len(dataset)
    for text in dataset[start : start + 20]["text"]:
        kept.append(text[:150] + str(step))  # the leak
    time.sleep(0.009)
print(len(kept))
