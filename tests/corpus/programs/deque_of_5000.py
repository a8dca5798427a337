"""
verdict: no-leak or inconclusive
data: fixed
why: a deque with maxlen=5000, one entry at each slice: a bound that no run of a minute reaches.
"""

import collections

window = collections.deque(maxlen=5000)


def consume(batch):
    window.append(bytearray(6000))
