"""
verdict: leak
cause: python-objects
origin: user-code
site: contextvar_grows.py:17
rate: 600
data: fixed
why: a context variable is set to a longer tuple at every call.
"""

import contextvars

trail = contextvars.ContextVar("trail", default=())


def consume(batch):
    trail.set((*trail.get(), bytearray(500)))  # the leak
