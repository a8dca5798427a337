"""
verdict: leak
cause: python-objects
origin: user-code
site: mutable_default.py:14
holder: collect
rate: 350
data: fixed
why: a list that is a parameter's default value is shared by all calls and grows.
"""


def collect(value, collected=[]):  # noqa: B006
    collected.append([value] * 30)  # the leak
    return collected


def consume(batch):
    collect(len(batch["text"]))
