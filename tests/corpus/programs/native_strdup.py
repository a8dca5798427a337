"""
verdict: leak
cause: native-heap
origin: user-code
site: native_strdup.py:19
rate: 1800
data: varying
why: a C library's copy of each slice's first text is never freed.
"""

import ctypes

libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_void_p
libc.strdup.argtypes = [ctypes.c_char_p]


def consume(batch):
    libc.strdup(batch["text"][0].encode())  # the leak
