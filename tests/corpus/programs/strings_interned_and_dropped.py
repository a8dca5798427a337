"""
verdict: no-leak
data: fixed
why: a thousand new strings are interned at each slice and dropped: interned strings are mortal.
"""

import itertools
import sys

numbers = itertools.count()


def consume(batch):
    for _ in range(1000):
        sys.intern(f"word-{next(numbers)}")
