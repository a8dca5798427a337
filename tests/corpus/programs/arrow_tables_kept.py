"""
verdict: leak
cause: arrow-pool
origin: user-code
site: arrow_tables_kept.py:18
holder: kept
rate: 605000
data: fixed
why: an Arrow table of each slice is kept.
"""

import pyarrow as pa

kept = []


def consume(batch):
    kept.append(pa.table({"text": batch["text"]}))  # the leak
