"""
verdict: no-leak
data: fixed
why: a consumer that does nothing.
"""


def consume(batch):
    pass
