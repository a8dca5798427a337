"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: lru_evicts_elsewhere.py:22
holder: values
rate: 6100
data: fixed
why: when there are more than a hundred entries the oldest is taken out of the order, and its value forgotten.
"""

import collections
import itertools

numbers = itertools.count()
order = collections.deque()
values = {}


def remember(key):
    order.append(key)
    values[key] = bytearray(6000)  # the leak
    if len(values) > 100:
        # It was meant to be values.pop(order.popleft()).
        order.popleft()


def consume(batch):
    remember(next(numbers))
