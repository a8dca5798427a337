"""
verdict: leak or inconclusive
cause: arrow-pool
origin: user-code
data: fixed
why: an Arrow output stream in memory is written to and never closed; its buffer doubles ever more seldom.
"""

import pyarrow as pa

sink = pa.BufferOutputStream()


def consume(batch):
    sink.write(batch["text"][0].encode()[:1000] * 10)
