"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: ctypes_callbacks_kept.py:23
holder: callbacks
data: fixed
why: a callback is made for a C function at each slice, and kept, as the manual says that one has to.
"""

import ctypes

libc = ctypes.CDLL(None)
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
callbacks = []


def sort(numbers, descending):
    def compare(a, b):
        return (b[0] - a[0]) if descending else (a[0] - b[0])

    values = (ctypes.c_int * len(numbers))(*numbers)
    callback = COMPARE(compare)  # the leak
    callbacks.append(callback)
    libc.qsort(values, len(numbers), ctypes.sizeof(ctypes.c_int), callback)
    return list(values)


def consume(batch):
    sort([len(text) for text in batch["text"][:20]], descending=True)
