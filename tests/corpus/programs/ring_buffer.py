"""
verdict: no-leak
finding: bounded-cache or step
data: varying
why: a ring of 32 places, each of which is replaced when its turn comes.
"""

import itertools

ring = [None] * 32
calls = itertools.count()


def consume(batch):
    ring[next(calls) % len(ring)] = batch["text"][:20]
