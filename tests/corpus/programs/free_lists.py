"""
verdict: no-leak
data: fixed
why: a hundred thousand floats and tuples come and go; what free lists keep is bounded.
"""


def consume(batch):
    [(number * 0.5, number) for number in range(100_000)]
