"""
verdict: no-leak
data: fixed
why: finalizers of objects that die at the end of the call run and go.
"""

import weakref


class Scratch:
    pass


def consume(batch):
    for _ in range(20):
        weakref.finalize(Scratch(), len, "done")
