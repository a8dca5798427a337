"""
verdict: leak
cause: python-objects
origin: user-code
site: append_small_bytes.py:20
holder: kept
rate: 72
data: fixed
fast: no
why: one bytes object of 64 bytes and a list's slot of 8 stay at every slice.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    kept.append(next(calls).to_bytes(31, "little"))  # the leak
