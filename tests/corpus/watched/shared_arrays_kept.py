"""
verdict: leak
cause: shared-memory
process: main
why: each batch's numbers go into an array that children could share, which is memory of a file without a name.
"""

import multiprocessing
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

arrays = []
for step in range(500):
    start = step * 40 % len(dataset)
    text = "".join(dataset[start : start + 40]["text"])[:5000]
    array = multiprocessing.Array("i", len(text), lock=False)
    array[:] = [ord(letter) for letter in text]
    arrays.append(array)
    time.sleep(0.02)
print(len(arrays))
