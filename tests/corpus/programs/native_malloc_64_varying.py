"""
verdict: leak
cause: native-heap
origin: user-code
site: native_malloc_64_varying.py:20
rate: 80
data: varying
why: malloc(64) at every slice, never freed, with rows of varying length.
"""

import ctypes

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]


def consume(batch):
    sorted(batch["text"])
    libc.malloc(64)  # the leak
