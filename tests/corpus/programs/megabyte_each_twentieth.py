"""
verdict: leak
cause: python-objects
origin: user-code
site: megabyte_each_twentieth.py:20
holder: checkpoints
rate: 52429
data: fixed
why: one object of 1 MB stays at every twentieth call.
"""

import itertools

checkpoints = []
calls = itertools.count(1)


def consume(batch):
    if next(calls) % 20 == 0:
        checkpoints.append(b"x" * 2**20)  # the leak
