"""
verdict: no-leak or inconclusive
why: a handler keeps log records in memory and lets go of them when it has 5000, three times in the run.
"""

import logging
import logging.handlers
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

log = logging.getLogger("preparation")
log.setLevel(logging.DEBUG)
log.propagate = False
target = logging.NullHandler()
log.addHandler(logging.handlers.MemoryHandler(5000, logging.CRITICAL, target))
total = 0
for step in range(1000):
    start = step * 16 % len(dataset)
    for number, text in enumerate(dataset[start : start + 16]["text"]):
        log.debug("row %d is %s", step * 16 + number, text[:300])
        total += len(text)
    time.sleep(0.01)
print(total)
