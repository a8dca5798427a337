"""
verdict: no-leak or inconclusive
data: fixed
why: a thread beside the work takes out the oldest of more than 20,000 entries, five times a second.
"""

import collections
import itertools
import threading
import time

numbers = itertools.count()
recent = collections.OrderedDict()
lock = threading.Lock()


def keep_small():
    while True:
        time.sleep(0.2)
        with lock:
            while len(recent) > 20_000:
                recent.popitem(last=False)


threading.Thread(target=keep_small, daemon=True).start()


def consume(batch):
    number = next(numbers)
    with lock:
        recent[number] = batch["text"][0][:300] + str(number)
