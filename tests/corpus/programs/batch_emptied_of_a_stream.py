"""
verdict: no-leak
data: fixed
options: --streaming
why: the consumer empties the slice of a stream that it is given.
"""


def consume(batch):
    for column in batch.values():
        column.clear()
    batch.clear()
