"""
verdict: no-leak
data: numeric
why: each slice is written as an Arrow stream and read again.
"""

import pyarrow as pa


def consume(batch):
    table = pa.table({"score": batch["score"], "label": batch["label"]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    pa.ipc.open_stream(sink.getvalue()).read_all()
