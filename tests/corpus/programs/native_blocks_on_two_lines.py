"""
verdict: leak
cause: native-heap
origin: user-code
site: native_blocks_on_two_lines.py:22, native_blocks_on_two_lines.py:23
rate: 6032
data: fixed
why: beside a block that is freed again, two lines ask for 3000 bytes each, which are not.
"""

import ctypes

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.restype = None
libc.free.argtypes = [ctypes.c_void_p]


def consume(batch):
    block = libc.malloc(20_000)
    libc.malloc(3000)  # the leak
    libc.malloc(3000)  # the leak
    libc.free(block)
