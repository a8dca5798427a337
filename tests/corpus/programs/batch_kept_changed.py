"""
verdict: leak
cause: python-objects
origin: user-code
holder: kept
data: varying
why: the consumer empties the columns of each slice but one, and keeps the slice.
"""

kept = []


def consume(batch):
    first = batch["text"][0]
    for column in batch.values():
        column.clear()
    batch["first"] = [first] * 1
    kept.append(batch)
