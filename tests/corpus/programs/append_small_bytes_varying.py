"""
verdict: leak
cause: python-objects
origin: user-code
site: append_small_bytes_varying.py:20
holder: kept
rate: 72
data: varying
why: one bytes object of 64 bytes and a list's slot stay at every slice; rows of varying length drown it in noise.
"""

import itertools

kept = []
calls = itertools.count(1)


def consume(batch):
    words = sum(len(text.split()) for text in batch["text"])
    kept.append((words + next(calls)).to_bytes(31, "little"))  # the leak
