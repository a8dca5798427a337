"""
verdict: leak
cause: python-objects
origin: user-code
site: dict_ever_new_keys.py:21
holder: cache
rate: 1200
data: fixed
why: a dict used as a cache is keyed by a step's number, so that nothing is ever found in it.
"""

import itertools

cache = {}
calls = itertools.count(1)


def consume(batch):
    step = next(calls)
    if step not in cache:
        cache[step] = bytes(1000)  # the leak
