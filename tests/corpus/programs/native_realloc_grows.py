"""
verdict: leak
cause: native-heap
origin: user-code
site: native_realloc_grows.py:23
rate: 4096
data: fixed
why: one block grows by 4 KB at every slice; the program never stops growing it.
"""

import ctypes

libc = ctypes.CDLL(None)
libc.realloc.restype = ctypes.c_void_p
libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
STEP = 4096
block = None
size = 0


def consume(batch):
    global block, size
    block = libc.realloc(block, size + STEP)  # the leak
    ctypes.memset(block + size, 1, STEP)
    size += STEP
