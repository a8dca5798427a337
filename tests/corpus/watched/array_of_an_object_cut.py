"""
verdict: no-leak or inconclusive
why: an array of an object in main() keeps its last million rows of sixteen numbers, of which a 25th come.
"""

import sys
import time

import datasets
import numpy as np


class History:
    def __init__(self, most):
        self.most = most
        self.rows = np.empty((0, 16))

    def add(self, more):
        self.rows = np.concatenate([self.rows, more])[-self.most :]


def main(path):
    dataset = datasets.load_from_disk(path)
    history = History(1_000_000)
    for _ in range(2):
        for start in range(0, len(dataset), 200):
            texts = dataset[start : start + 200]["text"]
            history.add(np.array([[float(len(t))] * 16 for t in texts]))
            time.sleep(0.03)
    print(history.rows.shape)


if __name__ == "__main__":
    main(sys.argv[1])
