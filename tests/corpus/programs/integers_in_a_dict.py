"""
verdict: leak or inconclusive
cause: python-objects
origin: user-code
holder: index
data: fixed
why: a dict of numbers gains one key at each slice: a small int each time, and the table doubles now and then.
"""

import itertools

calls = itertools.count(10**9)
index = {}


def consume(batch):
    index[next(calls)] = True
