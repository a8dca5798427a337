"""
verdict: leak
cause: native-heap
origin: user-code
site: native_crumbs.py:22
rate: 160
data: fixed
why: of a thousand blocks one of 150 bytes stays at every slice and keeps the freed heap around it from being one piece.
"""

import ctypes

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.restype = None
libc.free.argtypes = [ctypes.c_void_p]


def consume(batch):
    blocks = [libc.malloc(2000) for _ in range(50)]
    libc.malloc(150)  # the leak
    blocks += [libc.malloc(2000) for _ in range(50)]
    for block in blocks:
        libc.free(block)
