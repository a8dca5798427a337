"""
verdict: leak
cause: anonymous-other
origin: user-code
site: native_mmap.py:21
rate: 65536
data: fixed
why: 64 KB of private anonymous memory are mapped at every slice and never unmapped.
"""

import ctypes

libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
SIZE = 64 * 1024
READ_WRITE, PRIVATE_ANONYMOUS = 3, 0x22


def consume(batch):
    block = libc.mmap(None, SIZE, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0)  # the leak
    ctypes.memset(block, 1, SIZE)
