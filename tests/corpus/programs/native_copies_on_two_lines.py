"""
verdict: leak
cause: native-heap
origin: user-code
site: native_copies_on_two_lines.py:20, native_copies_on_two_lines.py:21
rate: 4032
data: fixed
why: two lines have a C library copy 2000 bytes each, and neither copy is freed.
"""

import ctypes

libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_void_p
libc.strdup.argtypes = [ctypes.c_char_p]
TEXT = b"x" * 1999


def consume(batch):
    libc.strdup(TEXT)  # the leak
    libc.strdup(TEXT)  # the leak
