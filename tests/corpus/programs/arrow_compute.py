"""
verdict: no-leak
data: varying
why: Arrow's compute functions on each slice, nothing is kept.
"""

import pyarrow as pa
import pyarrow.compute as pc


def consume(batch):
    column = pa.array(batch["text"])
    lengths = pc.utf8_length(column)
    pc.mean(lengths).as_py()
    pc.sort_indices(lengths)
    pc.unique(column)
