"""
verdict: leak
cause: file-mapping or python-objects
origin: user-code
site: descriptors_left_open.py:17
holder: handles
data: fixed
why: a file is opened and read at every slice, and stays open with its buffer.
"""

import os

handles = []


def consume(batch):
    handle = open(os.devnull, "rb")  # noqa: PTH123, SIM115 # the leak
    handle.read(10)
    handles.append(handle)
