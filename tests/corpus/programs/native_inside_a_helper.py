"""
verdict: leak
cause: native-heap
origin: user-code
site: native_inside_a_helper.py:20
rate: 3216
data: fixed
why: a helper's helper has a C library copy 3200 bytes at every slice, and nobody frees them.
"""

import ctypes

libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_void_p
libc.strdup.argtypes = [ctypes.c_char_p]
TEXT = b"x" * 3199


def tokenize(text):
    return libc.strdup(text)  # the leak


def encode(batch):
    return [tokenize(TEXT) for _ in range(1)]


def consume(batch):
    encode(batch)
