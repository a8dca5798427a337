"""
verdict: leak
cause: python-objects
origin: library
rate: 8100
data: own
why: the iterable keeps 8 KB with every item, its consumer 1 KB: what is the iterable's is most of it.
"""

seen = []
kept = []


def rows():
    for number in range(60):
        seen.append(bytearray(8000))
        yield {"number": [number]}


def consume(item):
    kept.append(bytearray(1000))
