"""
verdict: leak
cause: python-objects
origin: user-code
site: sawtooth_prime_with_trend.py:20
holder: kept
rate: 2060
data: fixed
why: a buffer of up to 37 blocks is cleared when it is full, and beside it 2 KB stay at each slice.
"""

buffer = []
kept = []


def consume(batch):
    buffer.append(bytearray(20_000))
    if len(buffer) == 37:
        buffer.clear()
    kept.append(bytearray(2000))  # the leak
