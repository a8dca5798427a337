"""
verdict: no-leak
data: varying
why: a buffer is flushed at every 37th call, so that each epoch ends at another height.
"""

import itertools

buffer = []
calls = itertools.count(1)


def consume(batch):
    buffer.extend(batch["text"][:50])
    if next(calls) % 37 == 0:
        buffer.clear()
