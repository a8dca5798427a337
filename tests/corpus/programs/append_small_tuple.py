"""
verdict: leak
cause: python-objects
origin: user-code
site: append_small_tuple.py:17
holder: history
rate: 128
data: numeric
why: one tuple of two new floats stays at every slice.
"""

history = []


def consume(batch):
    scores = batch["score"]
    history.append((sum(scores) * 1.5, max(scores) / 3.0))  # the leak
