"""
verdict: no-leak or inconclusive
why: a log is one text, of which the last 400 million characters stay; it is far from that.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])
log = ""
for _ in range(2):
    for start in range(0, len(dataset), 200):
        log += "".join(dataset[start : start + 200]["text"])
        log = log[-400_000_000:]
        time.sleep(0.03)
print(len(log))
