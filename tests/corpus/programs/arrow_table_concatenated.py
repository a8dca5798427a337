"""
verdict: leak
cause: arrow-pool
origin: user-code
holder: table
data: fixed
why: ten rows of each slice are appended to a table, which gains a chunk each time.
"""

import pyarrow as pa

table = None


def consume(batch):
    global table
    rows = pa.table({"text": batch["text"][:10]})
    table = rows if table is None else pa.concat_tables([table, rows])
