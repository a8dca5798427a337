"""
verdict: leak
cause: python-objects
origin: user-code
holder: history
rate: 630000
data: varying
why: a deque without maxlen takes every slice.
"""

import collections

history = collections.deque()


def consume(batch):
    history.append(batch)
