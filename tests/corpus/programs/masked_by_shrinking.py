"""
verdict: leak
cause: python-objects
origin: user-code
site: masked_by_shrinking.py:22
holder: kept
data: fixed
why: for the first hundred calls a backlog shrinks by as much as the leak grows.
"""

backlog = []
kept = []


def setup():
    backlog.extend(bytearray(5000) for _ in range(100))


def consume(batch):
    if backlog:
        backlog.pop()
    kept.append(bytearray(5000))  # the leak
