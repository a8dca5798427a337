"""
verdict: no-leak or inconclusive
data: fixed
why: a cache whose keys stand in a deque as well, in the order in which they came: past 1600 the oldest one goes.
"""

import collections
import itertools


class Cache:
    most = 1600

    def __init__(self):
        self.values = {}
        self.order = collections.deque()

    def keep(self, key, value):
        self.values[key] = value
        self.order.append(key)
        while len(self.order) > self.most:
            self.values.pop(self.order.popleft())


cache = Cache()
number = itertools.count()


def consume(batch):
    cache.keep(next(number), batch["text"][0][:2000].lower())
