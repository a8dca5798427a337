"""
verdict: leak
cause: python-objects
origin: user-code
site: partial_chain.py:24
holder: hook
rate: 550
data: fixed
why: a hook is wrapped in one more partial at every call; its arguments add up.
"""

import functools


def run(*arguments):
    return len(arguments)


hook = run


def consume(batch):
    global hook
    hook = functools.partial(hook, bytearray(500))  # the leak
