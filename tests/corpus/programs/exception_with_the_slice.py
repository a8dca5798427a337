"""
verdict: leak
cause: python-objects
origin: user-code
holder: last
data: fixed
why: each slice raises an error that is chained to the one before, whose traceback holds a frame with a buffer.
"""

last = None


def work(batch):
    buffer = bytearray(5000)
    raise ValueError(len(buffer))


def consume(batch):
    global last
    try:
        work(batch["text"][:1])
    except ValueError as error:
        error.__context__ = last
        last = error
