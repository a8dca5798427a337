"""
verdict: no-leak
finding: copy-on-write
why: forked workers read a list of objects of their parent's, and copy its pages by counting references.
"""

import multiprocessing
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])
rows = [
    {"number": number, "name": f"row {number}", "tags": [number, str(number)]} for number in range(300_000)
]


def work(worker):
    total = 0
    for start in range(0, len(rows), 1000):
        for row in rows[start : start + 1000]:
            total += row["number"] + len(row["tags"])
        total += len(dataset[start % 20000 : start % 20000 + 10]["text"])
        time.sleep(0.035)
    return total


with multiprocessing.get_context("fork").Pool(3) as pool:
    print(pool.map(work, range(3)))
