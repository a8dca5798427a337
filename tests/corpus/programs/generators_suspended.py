"""
verdict: leak
cause: python-objects
origin: user-code
site: generators_suspended.py:16
holder: streams
rate: 1400
data: fixed
why: a generator that stands at its first value, with a block of its own, is kept at every slice.
"""

streams = []


def stream(rows):
    block = bytearray(1000 + rows)  # the leak
    yield from block


def consume(batch):
    running = stream(len(batch["text"]))
    next(running)
    streams.append(running)
