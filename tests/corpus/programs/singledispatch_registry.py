"""
verdict: leak
cause: python-objects
origin: user-code
holder: encode
rate: 2500
data: fixed
why: a generic function is given a new class at every call.
"""

import functools


@functools.singledispatch
def encode(value):
    return repr(value)


def consume(batch):
    made = type("Row", (), {})
    encode.register(made, lambda value: "row")
