"""
verdict: no-leak or inconclusive
data: fixed
why: the last text of each of 50,000 keys that go round, most of which have not come once.
"""

import itertools

numbers = itertools.count()
last_of = {}


def consume(batch):
    number = next(numbers)
    last_of[number % 50_000] = batch["text"][0][:300] + str(number)
