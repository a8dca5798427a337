"""
verdict: leak
cause: python-objects
origin: user-code
site: counter_of_texts.py:20
holder: Counter
rate: 155
data: fixed
why: a Counter has a new key at every slice.
"""

import collections
import itertools

counts = collections.Counter()
numbers = itertools.count()


def consume(batch):
    counts[f"slice {next(numbers)} of many"] += 1  # the leak
