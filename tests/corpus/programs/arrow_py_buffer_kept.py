"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: arrow_py_buffer_kept.py:18
holder: kept
rate: 5000
data: fixed
why: Arrow buffers are kept that wrap Python's bytes: no Arrow pool has ever seen them.
"""

import pyarrow as pa

kept = []


def consume(batch):
    kept.append(pa.py_buffer(bytes(bytearray(5000))))  # the leak
