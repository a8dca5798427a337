"""
verdict: leak
cause: python-objects
command: -- sh -c 'echo begun; {python} {program} {data}; echo ended'
process: python behind_a_shell.py
why: the program is a child of a shell's.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

kept = []
for step in range(1000):
    start = step * 20 % len(dataset)
    kept.extend(text[:150] + str(step) for text in dataset[start : start + 20]["text"])
    time.sleep(0.009)
print(len(kept))
