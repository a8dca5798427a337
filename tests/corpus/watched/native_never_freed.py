"""
verdict: leak
cause: native-heap
process: main
why: a C library keeps 40 KB for each batch, and no object of Python's comes with them.
"""

import ctypes
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
total = 0
for step in range(900):
    batch = dataset[step * 20 : step * 20 + 20]["text"]
    total += len(batch)
    ctypes.memset(ctypes.c_void_p(libc.malloc(40_000)), 1, 40_000)
    time.sleep(0.01)
print(total)
