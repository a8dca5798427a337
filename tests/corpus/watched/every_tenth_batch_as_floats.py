"""
verdict: leak
cause: python-objects
site: every_tenth_batch_as_floats.py:28
holder: lengths
process: main
why: 2.5 MB of small arrays stay in 10 seconds, beside objects that come and go all the time.
"""

import sys
import time

import datasets
import numpy as np

dataset = datasets.load_from_disk(sys.argv[1])


def main():
    lengths = []
    recent = []
    for step in range(800):
        start = step * 25 % len(dataset)
        texts = dataset[start : start + 25]["text"]
        recent = [*recent[-40:], [text.split() for text in texts]]
        for text in texts[::10]:
            floats = np.array([len(word) for word in text.split()] * 2, dtype=float)
            lengths.append(floats[:100].copy())  # the leak
        time.sleep(0.008)
    print(len(lengths), len(recent))


main()
