"""
verdict: leak
cause: python-objects
origin: user-code
rate: 2500
data: fixed
why: a class is made at every call and kept in a registry by its base.
"""

registry = []


class Base:
    def __init_subclass__(cls):
        registry.append(cls)


def consume(batch):
    type("Row", (Base,), {"rows": len(batch["text"])})
