"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: ctypes_buffers_kept.py:18
holder: kept
rate: 5100
data: fixed
why: a ctypes buffer of 5 KB stays at every slice.
"""

import ctypes

kept = []


def consume(batch):
    kept.append(ctypes.create_string_buffer(5000))  # the leak
