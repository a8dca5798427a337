"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: gc_threshold_zero.py:20
rate: 6400
data: fixed
why: gc.set_threshold(0) stops automatic collections as gc.disable() does, though gc.isenabled() stays true.
"""

import gc


def setup():
    gc.set_threshold(0)


class Node:
    def __init__(self):
        self.scores = bytearray(6000)  # the leak
        self.itself = self


def consume(batch):
    Node()
