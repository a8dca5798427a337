"""
verdict: leak
cause: python-objects
origin: user-code
site: weakref_finalize.py:22
rate: 900
data: fixed
why: finalizers of an object that lives for ever pile up in weakref's registry, each with its argument.
"""

import weakref


class Model:
    pass


model = Model()


def consume(batch):
    weakref.finalize(model, print, bytearray(500))  # the leak
