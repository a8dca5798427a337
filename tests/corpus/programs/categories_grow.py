"""
verdict: leak
cause: python-objects or native-heap or arrow-pool
origin: user-code
site: categories_grow.py:21
libraries: pandas
data: fixed
why: a categorical gains a category at each slice, one for a session that is over, and never loses one.
"""

import itertools

import pandas as pd

numbers = itertools.count()
kinds = pd.Categorical(["none"])


def add(name):
    global kinds
    kinds = kinds.add_categories([name])  # the leak


def consume(batch):
    add(f"session-{next(numbers)}-" + "x" * 400)
