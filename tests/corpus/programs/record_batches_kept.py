"""
verdict: leak
cause: arrow-pool or native-heap or python-objects
origin: user-code
holder: kept
data: numeric
why: record batches of ten rows stay.
"""

import pyarrow as pa

kept = []


def consume(batch):
    kept.append(pa.RecordBatch.from_pydict({name: column[:10] for name, column in batch.items()}))
