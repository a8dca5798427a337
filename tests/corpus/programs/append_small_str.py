"""
verdict: leak
cause: python-objects
origin: user-code
site: append_small_str.py:19
holder: seen
rate: 80
data: fixed
why: one short string stays at every slice.
"""

import itertools

seen = []
calls = itertools.count(1)


def consume(batch):
    seen.append(f"batch-{next(calls):017d}")  # the leak
