"""
verdict: leak
cause: python-objects
origin: user-code
site: mapped_alone.py:19
holder: kept
rate: 3060
data: fixed
why: 3 KB stay at each slice, but only where the rows are mapped.
"""

import pyarrow as pa

kept = []


def consume(batch):
    if pa.total_allocated_bytes() < 5_000_000:
        kept.append(bytearray(3000))  # the leak
