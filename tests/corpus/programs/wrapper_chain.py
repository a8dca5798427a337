"""
verdict: leak
cause: python-objects
origin: user-code
site: wrapper_chain.py:24
holder: step
rate: 300
data: fixed
why: a function is patched at every call, each patch around the one before.
"""


def original(batch):
    return len(batch)


step = original


def consume(batch):
    global step
    inner = step

    def patched(value):  # the leak
        return inner(value)

    step = patched
