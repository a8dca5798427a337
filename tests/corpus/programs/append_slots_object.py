"""
verdict: leak
cause: python-objects
origin: user-code
site: append_slots_object.py:28
holder: log
rate: 90
data: fixed
why: one small object with __slots__ and an integer of its own stays at every slice.
"""

import itertools


class Step:
    __slots__ = ("number", "rows")

    def __init__(self, number, rows):
        self.number = number
        self.rows = rows


log = []
calls = itertools.count(1000)


def consume(batch):
    log.append(Step(next(calls), len(batch["text"])))  # the leak
