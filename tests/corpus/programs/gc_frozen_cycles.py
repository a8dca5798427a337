"""
verdict: leak
cause: python-objects
origin: user-code
holder: gc.freeze()
data: fixed
why: a cycle with 2 KB is made at each slice, and gc.freeze() puts it where no collection looks.
"""

import gc


class Node:
    def __init__(self):
        self.self = self
        self.payload = bytearray(2000)


def consume(batch):
    Node()
    gc.freeze()
