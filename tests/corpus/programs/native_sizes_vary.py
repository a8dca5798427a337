"""
verdict: leak
cause: native-heap
origin: user-code
data: varying
why: malloc of a random size from 1 to 20 KB at each slice, never freed.
"""

import ctypes
import random

random_numbers = random.Random(31)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]


def consume(batch):
    libc.malloc(random_numbers.randrange(1000, 20_000))
