"""
verdict: no-leak
data: fixed
why: a class is made at every call; classes are cycles, which the collector frees, and __subclasses__ holds them weakly.
"""


class Base:
    pass


def consume(batch):
    made = type("Row", (Base,), {"length": lambda self: 1})
    made().length()
