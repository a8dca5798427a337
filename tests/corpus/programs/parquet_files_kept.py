"""
verdict: leak
cause: native-heap or python-objects or arrow-pool or file-mapping
origin: user-code
site: parquet_files_kept.py:35
holder: readers
data: fixed
why: a ParquetFile is opened for each slice and kept: its metadata, its reader and its descriptor.
"""

import itertools
import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

numbers = itertools.count()
readers = {}
path = None


def setup():
    global path
    handle, path = tempfile.mkstemp(suffix=".parquet")
    os.close(handle)
    table = pa.table({f"column_{i}": list(range(200)) for i in range(20)})
    pq.write_table(table, path, row_group_size=20)


def reader(step):
    # Keyed by the step, so that it is opened anew each time.
    if step not in readers:
        readers[step] = pq.ParquetFile(path)  # the leak
    return readers[step]


def consume(batch):
    opened = reader(next(numbers))
    opened.read_row_group(len(batch["text"]) % 10, columns=["column_3"])


def teardown():
    Path(path).unlink()
