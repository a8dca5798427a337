"""
verdict: leak
cause: python-objects
origin: user-code
site: order_bounded_data_not.py:36
holder: entries
rate: 440
data: fixed
why: the order of the keys is bounded to 50,000; what they stand for is never taken out.
"""

import collections
import itertools

numbers = itertools.count()


class Cache:
    def __init__(self, size):
        self.entries = {}
        self.order = collections.deque()
        self.size = size

    def put(self, key, value):
        self.entries[key] = value
        self.order.append(key)
        if len(self.order) > self.size:
            self.order.popleft()


cache = Cache(50_000)


def consume(batch):
    number = next(numbers)
    cache.put(number, batch["text"][0][:300] + str(number))  # the leak
