"""
verdict: leak or inconclusive
cause: python-objects
origin: user-code
site: slow_second_kept.py:19
holder: kept
rate: 3060
data: fixed
why: a second of waiting at each slice, at which 3 KB stay.
"""

import time

kept = []


def consume(batch):
    time.sleep(1)
    kept.append(bytearray(3000))  # the leak
