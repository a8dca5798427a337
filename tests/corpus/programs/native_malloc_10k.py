"""
verdict: leak
cause: native-heap
origin: user-code
site: native_malloc_10k.py:20
rate: 10256
data: fixed
why: malloc(10 KB) at every slice, written to and never freed.
"""

import ctypes

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
SIZE = 10 * 1024


def consume(batch):
    block = libc.malloc(SIZE)  # the leak
    ctypes.memset(block, 1, SIZE)
