"""
verdict: leak
cause: arrow-pool
origin: user-code
site: arrow_slice_pins.py:19
holder: heads
rate: 605000
data: varying
fast: yes
why: a slice of one row pins the whole Arrow table that it is cut from.
"""

import pyarrow as pa

heads = []


def consume(batch):
    table = pa.table({"text": batch["text"]})  # the leak
    heads.append(table.slice(0, 1))
