"""
verdict: no-leak
data: own
why: an iterable that loses 120 bytes with every item, as libraries do: too little to be called their leak.
"""

seen = []


def rows():
    for number in range(100):
        seen.append(bytearray(50))
        yield [number]
