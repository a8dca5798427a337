"""
verdict: no-leak
data: fixed
why: a context variable is set and reset at every call.
"""

import contextvars

current = contextvars.ContextVar("current", default=None)


def consume(batch):
    token = current.set(batch)
    sum(map(len, current.get()["text"]))
    current.reset(token)
