"""
verdict: no-leak
why: a thread reads ahead, two batches for each that is used, until its queue is full after a third of the run.
"""

import queue
import sys
import threading
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])
ahead = queue.Queue(maxsize=300)
asked = threading.Semaphore(0)


def read_ahead():
    for step in range(1000):
        asked.acquire()
        start = step * 100 % len(dataset)
        ahead.put([text + str(step) for text in dataset[start : start + 100]["text"]])
    ahead.put(None)


threading.Thread(target=read_ahead).start()
asked.release(2)
total = 0
while (batch := ahead.get()) is not None:
    total += len(batch)
    asked.release(2)
    time.sleep(0.012)
print(total)
