"""
verdict: leak or inconclusive
cause: python-objects
site: losses_beside_their_window.py:23
process: main
why: main() keeps what it has read of each row, beside a window of the last two thousand lengths.
"""

import sys
import time
from collections import deque

import datasets


def main(path):
    dataset = datasets.load_from_disk(path)
    window = deque(maxlen=2000)
    kept = []
    for epoch in range(2):
        for number, row in enumerate(dataset):
            window.append(len(row["text"]) * 1.5)
            kept.append(row["text"][:100] + str(number))  # the leak
            if number % 50 == 49:
                time.sleep(0.012)
    print(sum(window), len(kept))


if __name__ == "__main__":
    main(sys.argv[1])
