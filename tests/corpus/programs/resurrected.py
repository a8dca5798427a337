"""
verdict: leak
cause: python-objects
origin: user-code
site: resurrected.py:17
holder: graveyard
rate: 3100
data: fixed
why: what is dropped resurrects itself in __del__ and stays in a list.
"""

graveyard = []


class Undead:
    def __init__(self):
        self.payload = bytearray(3000)  # the leak

    def __del__(self):
        graveyard.append(self)


def consume(batch):
    Undead()
