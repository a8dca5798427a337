"""
verdict: no-leak
finding: allocator-retention
data: fixed
why: one table of 150 MB at the tenth slice; what the pool keeps of it afterwards is retained, not lost.
"""

import itertools

import pyarrow as pa

calls = itertools.count(1)


def consume(batch):
    if next(calls) == 10:
        pa.concat_tables([pa.table({"text": batch["text"]})] * 250).combine_chunks()
