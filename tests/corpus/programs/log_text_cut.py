"""
verdict: no-leak or inconclusive
data: fixed
why: a log is one text, of which the last three million characters stay; it is far from that.
"""

import itertools

numbers = itertools.count()
log = ""


def consume(batch):
    global log
    log = log + batch["text"][0][:300] + str(next(numbers)) + "\n"
    log = log[-3_000_000:]
