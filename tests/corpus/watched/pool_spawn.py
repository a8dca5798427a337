"""
verdict: no-leak
why: a pool of spawned workers that each open the mapped dataset and send lists back.
"""

import multiprocessing
import sys
import time

import datasets


def work(start):
    rows = datasets.load_from_disk(sys.argv[1])[start : start + 100]
    time.sleep(0.01)
    return [len(text) for text in rows["text"]]


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        starts = (number * 100 % 20000 for number in range(1200))
        print(sum(map(sum, pool.imap_unordered(work, starts))))
