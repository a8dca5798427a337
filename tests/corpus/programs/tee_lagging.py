"""
verdict: leak
cause: python-objects
origin: user-code
site: tee_lagging.py:14
holder: second
rate: 1070
data: fixed
why: of the two ends of itertools.tee only one is read; the other one keeps everything.
"""

import itertools

blocks = (bytearray(1000) for _ in itertools.count())  # the leak
first, second = itertools.tee(blocks)


def consume(batch):
    next(first)
