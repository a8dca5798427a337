"""
verdict: leak
cause: python-objects
origin: user-code
site: reference_count_leak.py:15
rate: 1040
data: fixed
why: a reference count stays one too high, as after a missing Py_DECREF: nothing holds it, nothing frees it.
"""

import ctypes


def consume(batch):
    lost = bytes(bytearray(1000))  # the leak
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(lost))
