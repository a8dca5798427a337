"""
verdict: leak
cause: anonymous-other
origin: user-code
site: small_maps_never_unmapped.py:29
rate: 8192
data: fixed
why: a C library's scratch buffer of two pages is mapped for each slice and never unmapped: no allocator knows of it.
"""

import ctypes
import mmap

libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
SIZE = 2 * mmap.PAGESIZE
ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


def consume(batch):
    buffer = libc.mmap(None, SIZE, mmap.PROT_READ | mmap.PROT_WRITE, ANONYMOUS, -1, 0)  # the leak
    ctypes.memset(buffer, len(batch["text"]) % 255 + 1, SIZE)
