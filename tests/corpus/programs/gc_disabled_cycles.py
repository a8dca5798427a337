"""
verdict: leak
cause: python-objects
origin: user-code
site: gc_disabled_cycles.py:17, gc_disabled_cycles.py:27
rate: 5600
data: fixed
fast: yes
why: the program turned the collector off and makes cycles: nothing ever frees them.
"""

import gc


class Node:
    def __init__(self, size):
        self.payload = bytearray(size)  # the leak
        self.me = self


def setup():
    gc.disable()


def consume(batch):
    for _ in range(10):
        Node(400)  # the leak
