"""
verdict: leak
cause: python-objects
origin: user-code
rate: 8100
data: own
why: the iterable keeps 1 KB with every item, its consumer 8 KB.
"""

seen = []
kept = []


def rows():
    for number in range(60):
        seen.append(bytearray(1000))
        yield {"number": [number]}


def consume(item):
    kept.append(bytearray(8000))
