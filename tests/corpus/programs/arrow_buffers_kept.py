"""
verdict: leak
cause: arrow-pool
origin: user-code
site: arrow_buffers_kept.py:18
holder: kept
rate: 4096
data: fixed
why: a buffer of 4 KB from Arrow's pool stays at every slice.
"""

import pyarrow as pa

kept = []


def consume(batch):
    kept.append(pa.allocate_buffer(4096))  # the leak
