"""
verdict: leak
cause: file-mapping
origin: user-code
site: arrow_memory_map_kept.py:29
holder: tables
data: fixed
why: an Arrow file is memory-mapped again for every slice, read through, and its table kept.
"""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

folder = tempfile.TemporaryDirectory()
path = str(Path(folder.name) / "index.arrow")
tables = []


def setup():
    table = pa.table({"number": pa.array(range(100_000), pa.int64())})
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def consume(batch):
    table = pa.ipc.open_file(pa.memory_map(path)).read_all()  # the leak
    pc.sum(table.column("number"))
    tables.append(table)


def teardown():
    folder.cleanup()
