"""
verdict: leak
cause: arrow-pool or native-heap
origin: user-code
site: arrow_pool_switched.py:22
holder: columns
rate: 4100
data: fixed
why: the program makes the C library's malloc Arrow's pool before it begins, and keeps a buffer of 4 KB a slice.
"""

import pyarrow as pa

columns = []


def setup():
    pa.set_memory_pool(pa.system_memory_pool())


def consume(batch):
    columns.append(pa.allocate_buffer(4096))  # the leak
