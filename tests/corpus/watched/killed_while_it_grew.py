"""
verdict: leak
cause: python-objects
status: 1
why: it grew until something killed it: what was seen until then decides.
"""

import os
import signal
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


kept = []
for step in range(900):
    start = step * 20 % len(dataset)
    kept.append([text + str(step) for text in dataset[start : start + 20]["text"]])
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
