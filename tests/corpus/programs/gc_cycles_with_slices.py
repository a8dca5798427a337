"""
verdict: no-leak
data: fixed
why: each slice hangs on a cycle until the collector runs: a sawtooth, no leak.
"""


class Holder:
    def __init__(self, batch):
        self.batch = batch
        self.me = self


def consume(batch):
    Holder(batch)
    for _ in range(50):
        Holder(None)
