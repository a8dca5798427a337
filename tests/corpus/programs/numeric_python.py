"""
verdict: no-leak
data: numeric
why: sums over lists of floats.
"""


def consume(batch):
    sum(sum(row) for row in batch["embedding"])
