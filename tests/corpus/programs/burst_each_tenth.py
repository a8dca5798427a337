"""
verdict: leak
cause: python-objects
origin: user-code
site: burst_each_tenth.py:20
holder: kept
rate: 4100
data: fixed
why: at every tenth slice ten blocks of 4 KB stay, in between nothing.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    if next(calls) % 10 == 0:
        kept.extend(bytearray(4096) for _ in range(10))  # the leak
