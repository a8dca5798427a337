"""
verdict: no-leak
finding: bounded-cache or step
data: varying
why: a deque with maxlen=40 takes every slice and forgets the oldest.
"""

import collections

history = collections.deque(maxlen=40)


def consume(batch):
    history.append(batch["text"][:100])
