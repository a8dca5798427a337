"""
verdict: no-leak
data: fixed
why: cycles that the collector frees whenever it runs.
"""


class Node:
    def __init__(self):
        self.payload = bytearray(400)
        self.me = self


def consume(batch):
    for _ in range(10):
        Node()
