"""
verdict: no-leak
data: fixed
why: a backlog of 200 blocks gets shorter at every call.
"""

backlog = []


def setup():
    backlog.extend(bytearray(20_000) for _ in range(200))


def consume(batch):
    if backlog:
        backlog.pop()
