"""
verdict: leak or inconclusive
cause: python-objects
site: clock_collects_while_work_speeds_up.py:24
holder: metrics
process: main
why: a thread notes metrics by the clock and keeps them all, while the work gets three times as fast.
"""

import random
import sys
import threading
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])
metrics = []
over = threading.Event()


def collect():
    while not over.wait(0.005):
        metrics.append([random.random() for _ in range(100)])  # the leak


thread = threading.Thread(target=collect)
thread.start()
total = 0
for step in range(900):
    start = step * 20 % len(dataset)
    total += len(dataset[start : start + 20]["text"])
    time.sleep(0.02 - 0.015 * min(step / 800, 1.0))
over.set()
thread.join()
print(total, len(metrics))
