"""
verdict: no-leak
data: fixed
options: --format arrow
why: with_format("arrow"): a slice is a table; its bytes are summed.
"""

import pyarrow.compute as pc


def consume(table):
    pc.sum(pc.binary_length(table.column("text"))).as_py()
