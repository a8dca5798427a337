"""
verdict: leak
cause: python-objects
origin: user-code
site: tracemalloc_of_the_users_and_a_leak.py:21
holder: kept
data: fixed
why: the user's code traces allocations itself, all along, and keeps 5 KB at every slice.
"""

import tracemalloc

kept = []


def setup():
    tracemalloc.start(5)


def consume(batch):
    kept.append(b"x" * (5000 + len(batch["text"])))  # the leak


def teardown():
    tracemalloc.stop()
