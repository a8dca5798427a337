"""
verdict: leak
cause: python-objects
origin: library
site: iterable_keeps.py:17
holder: seen
rate: 3100
data: own
why: the iterable itself keeps 3 KB with every item that it gives; nobody else's code runs.
"""

seen = []


def rows():
    for number in range(60):
        seen.append(bytearray(3000))  # the leak
        yield {"number": [number]}
