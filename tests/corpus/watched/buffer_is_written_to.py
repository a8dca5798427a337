"""
verdict: leak or inconclusive
cause: python-objects or native-heap
process: main
why: what should go to a file is written into a buffer in memory, one object that is made larger by eighths.
"""

import io
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

out = io.BytesIO()
for step in range(1000):
    start = step * 20 % len(dataset)
    for text in dataset[start : start + 20]["text"]:
        out.write(text.encode() + b"\n")
    time.sleep(0.01)
print(out.tell())
