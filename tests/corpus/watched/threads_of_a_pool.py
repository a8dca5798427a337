"""
verdict: no-leak
why: eight threads read slices of one mapped dataset.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


def work(number):
    start = number * 50 % len(dataset)
    time.sleep(0.04)
    return sum(len(text.split()) for text in dataset[start : start + 50]["text"])


with ThreadPoolExecutor(8) as pool:
    total = 0
    for _ in range(6):
        total += sum(pool.map(work, range(400)))
print(total)
