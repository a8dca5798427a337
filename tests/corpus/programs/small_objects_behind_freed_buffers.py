"""
verdict: leak
cause: python-objects
origin: user-code
site: small_objects_behind_freed_buffers.py:26
holder: index
data: fixed
why: work waits in large buffers and is worked off for 700 slices; its index gains as much in small objects.
"""

import itertools

backlog = []
index = {}
numbers = itertools.count()


def setup():
    backlog.extend(bytearray(6400) for _ in range(700))


def consume(batch):
    if backlog:
        backlog.pop()
    for text in batch["text"][:40]:
        index[next(numbers)] = (float(len(text)), len(text) + 0.25)  # the leak
