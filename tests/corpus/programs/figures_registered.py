"""
verdict: leak
cause: python-objects
origin: user-code
holder: figures
data: fixed
why: each slice makes a figure that a registry keeps by its number until somebody closes it, as pyplot does.
"""

import itertools

numbers = itertools.count(1)
figures = {}


class Figure:
    def __init__(self):
        self.number = next(numbers)
        self.axes = [{"lines": [float(i) for i in range(50)]} for _ in range(2)]
        figures[self.number] = self


def consume(batch):
    Figure()
