"""
verdict: no-leak
why: a pool's workers keep what they have seen, and each is replaced after 40 tasks, which is what the option is for.
"""

import sys
import time
from multiprocessing import get_context

import datasets

dataset = datasets.load_from_disk(sys.argv[1])
seen = []


def clean(start):
    texts = dataset[start : start + 20]["text"]
    seen.append([text + str(start) for text in texts])
    time.sleep(0.02)
    return len(texts)


if __name__ == "__main__":
    starts = [step * 20 % len(dataset) for step in range(1000)]
    with get_context("fork").Pool(2, maxtasksperchild=40) as pool:
        print(sum(pool.imap_unordered(clean, starts)))
