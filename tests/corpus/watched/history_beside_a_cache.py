"""
verdict: leak
cause: python-objects
site: history_beside_a_cache.py:30
process: main
why: eight numbers stay of each row; an lru_cache that fills as well has an entry for every thirtieth row alone.
"""

import functools
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


@functools.lru_cache(maxsize=400_000)
def label(epoch, number):
    return f"{epoch}-{number}"


history = []
names = set()
for epoch in range(2):
    for number, row in enumerate(dataset):
        if number % 30 == 0:
            names.add(len(label(epoch, number)))
        length = len(row["text"])
        history.append([length * 1.5 + index for index in range(8)])  # the leak
        if number % 50 == 49:
            time.sleep(0.012)
print(len(history), names)
