"""
verdict: no-leak
data: varying
why: a global holds the last slice, and no more than that.
"""

last = None


def consume(batch):
    global last
    last = batch
