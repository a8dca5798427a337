"""
verdict: no-leak or inconclusive
data: fixed
why: a deque with maxlen=500, one entry at each slice.
"""

import collections

window = collections.deque(maxlen=500)


def consume(batch):
    window.append(bytearray(6000))
