"""
verdict: leak
cause: python-objects
origin: user-code
site: dict_thousand_keys.py:21
holder: cache
rate: 150000
data: varying
why: a thousand new keys a slice go into a dict.
"""

import itertools

cache = {}
serial = itertools.count()


def consume(batch):
    for _ in range(1000):
        number = next(serial)
        cache[f"sample-{number}"] = number  # the leak
