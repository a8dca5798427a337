"""
verdict: leak
cause: native-heap
origin: user-code
site: native_malloc_64.py:20
rate: 80
data: fixed
fast: yes
why: malloc(64) at every slice, never freed.
"""

import ctypes

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]


def consume(batch):
    libc.malloc(64)  # the leak
