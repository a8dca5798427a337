"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: memo_beside_blocks.py:28
rate: 8100
data: fixed
why: a memo of numbers, 5000 at most, is still filling, while a C library's blocks of 8 KB are never freed.
"""

import ctypes
import itertools

libc = ctypes.CDLL(None)
libc.malloc.argtypes = [ctypes.c_size_t]
libc.malloc.restype = ctypes.c_void_p
numbers = itertools.count()
memo = {}


def length_of(key, text):
    if key not in memo and len(memo) < 5000:
        memo[key] = len(text)
    return len(text)


def consume(batch):
    block = libc.malloc(8000)  # the leak
    ctypes.memset(block, 1, length_of(next(numbers), batch["text"][0]))
