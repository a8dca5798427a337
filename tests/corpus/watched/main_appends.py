"""
verdict: leak
cause: python-objects
site: main_appends.py:22
holder: history
process: main
fast: yes
why: 50 KB stay for each 1000 rows, over some ten seconds.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

history = []
for epoch in range(3):
    for number, row in enumerate(dataset):
        if number % 10 == 0:
            history.append(row["text"][: 440 + number % 3])  # the leak
        if number % 50 == 49:
            time.sleep(0.008)
print(len(history))
