"""
verdict: leak
cause: python-objects
origin: user-code
site: attributes_of_an_object.py:24
holder: state
rate: 1200
data: fixed
why: an attribute with a new name is set on one object at every slice.
"""

import itertools


class State:
    pass


state = State()
calls = itertools.count(1)


def consume(batch):
    setattr(state, f"slice_{next(calls)}", bytearray(1000))  # the leak
