"""
verdict: no-leak or inconclusive
data: fixed
why: a buffer grows over 130 slices, which is more than two epochs, and is cleared then.
"""

buffer = []


def consume(batch):
    buffer.append(bytearray(9000))
    if len(buffer) == 130:
        buffer.clear()
