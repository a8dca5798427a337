"""
verdict: no-leak
data: varying
why: the user's code traces allocations itself, all along: what tracemalloc has in use is bounded by what it traces.
"""

import tracemalloc


def setup():
    tracemalloc.start(5)


def consume(batch):
    sum(len(text.split()) for text in batch["text"][:20])


def teardown():
    tracemalloc.stop()
