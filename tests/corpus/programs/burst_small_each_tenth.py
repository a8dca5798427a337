"""
verdict: leak
cause: python-objects
origin: user-code
site: burst_small_each_tenth.py:20
holder: kept
rate: 110
data: varying
why: at every tenth slice one block of 1 KB stays.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    if next(calls) % 10 == 0:
        kept.append(bytes(bytearray(1000)))  # the leak
