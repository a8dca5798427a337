"""
verdict: no-leak
data: numeric
why: a slice is written as CSV into a buffer of its own.
"""

import csv
import io


def consume(batch):
    buffer = io.StringIO()
    csv.writer(buffer).writerows(zip(batch["label"], batch["score"]))  # noqa: B905
    buffer.getvalue()
