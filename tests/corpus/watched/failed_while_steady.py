"""
verdict: inconclusive
status: 4
why: it ended with a traceback, and until then nothing grew.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

for step in range(700):
    start = step * 20 % len(dataset)
    texts = dataset[start : start + 20]["text"]
    time.sleep(0.01)
raise RuntimeError(f"no more than {len(texts)} rows")
