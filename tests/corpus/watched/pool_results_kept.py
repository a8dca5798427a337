"""
verdict: leak
cause: python-objects
site: pool_results_kept.py:28
holder: results
process: main
fast: yes
why: the parent of a pool keeps what its workers send.
"""

import multiprocessing
import sys
import time

import datasets


def work(start):
    rows = datasets.load_from_disk(sys.argv[1])[start : start + 100]
    time.sleep(0.01)
    return [len(text) for text in rows["text"]]


results = []


def keep(lengths):
    results.extend(str(length) for length in lengths)  # the leak


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for number in range(1100):
            pool.apply_async(work, (number * 100 % 20000,), callback=keep)
            time.sleep(0.01)
        pool.close()
        pool.join()
    print(len(results))
