"""
verdict: leak or inconclusive
cause: python-objects or native-heap
origin: user-code
site: checkpoints_kept.py:22
holder: checkpoints
data: fixed
why: at every 120th slice the state, 1 MB, is copied as a checkpoint that nobody removes: more seldom than epochs end.
"""

import itertools

calls = itertools.count(1)
state = bytearray(1_000_000)
checkpoints = {}


def consume(batch):
    step = next(calls)
    state[step % len(state)] = len(batch["text"][0]) % 256
    if step % 120 == 0:
        checkpoints[step] = bytes(state)  # the leak
