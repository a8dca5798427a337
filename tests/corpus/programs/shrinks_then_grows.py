"""
verdict: leak
cause: python-objects
origin: user-code
site: shrinks_then_grows.py:23
holder: kept
rate: 8060
data: fixed
why: a backlog of 2 MB is worked off in the first 130 slices while 8 KB stay at each slice, then and later.
"""

backlog = []
kept = []


def setup():
    backlog.extend(bytearray(16_000) for _ in range(130))


def consume(batch):
    if backlog:
        backlog.pop()
    kept.append(bytearray(8000))  # the leak
