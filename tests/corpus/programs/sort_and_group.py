"""
verdict: no-leak
data: varying
why: rows are sorted and grouped by length.
"""

import itertools


def consume(batch):
    rows = sorted(batch["text"], key=len)
    {length: sum(1 for _ in group) for length, group in itertools.groupby(rows, key=len)}
