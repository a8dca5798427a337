"""
verdict: no-leak
data: fixed
why: two lines have a C library copy 2000 bytes each; the copies are freed at the next slice.
"""

import ctypes

libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_void_p
libc.strdup.argtypes = [ctypes.c_char_p]
libc.free.restype = None
libc.free.argtypes = [ctypes.c_void_p]
TEXT = b"x" * 1999
last = []


def consume(batch):
    while last:
        libc.free(last.pop())
    last.append(libc.strdup(TEXT))
    last.append(libc.strdup(TEXT))
