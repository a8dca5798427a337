"""
verdict: inconclusive
status: 4
fast: yes
why: it was killed, and until then nothing grew.
"""

import os
import signal
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


for step in range(500):
    start = step * 20 % len(dataset)
    texts = dataset[start : start + 20]["text"]
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
