"""
verdict: leak
cause: python-objects
origin: user-code
site: stream_skipped_again.py:24
holder: position
data: fixed
why: where a stream was left is kept as stream.skip(n) of the one before: a chain that is one longer each time.
"""

from datasets import IterableDataset


def rows():
    for number in range(100):
        yield {"number": number}


position = IterableDataset.from_generator(rows)


def consume(batch):
    global position
    position = position.skip(len(batch["text"]))  # the leak
