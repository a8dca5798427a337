"""
verdict: no-leak
data: fixed
why: a Parquet file is scanned with a filter at every slice, its batches dictionary-encoded, grouped and dropped.
"""

import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

folder = tempfile.mkdtemp()


def setup():
    table = pa.table({"id": list(range(4000)), "kind": [f"kind-{i % 37}" for i in range(4000)]})
    pq.write_table(table, Path(folder) / "part-0.parquet", row_group_size=500)


def consume(batch):
    least = len(batch["text"][0]) * 5
    scanner = ds.dataset(folder).scanner(filter=pc.field("id") > least, batch_size=400)
    for part in scanner.to_batches():
        pc.dictionary_encode(part["kind"])
    scanner.to_table().group_by("kind").aggregate([("id", "sum")])


def teardown():
    shutil.rmtree(folder)
