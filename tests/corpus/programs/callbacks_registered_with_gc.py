"""
verdict: leak
cause: python-objects
origin: user-code
data: fixed
why: a callback for the garbage collector is added at every slice, with the slice's sums in its defaults.
"""

import gc


def consume(batch):
    numbers = [float(i) for i in range(100)]

    def report(phase, info, numbers=numbers):
        return None

    gc.callbacks.append(report)


def teardown():
    gc.callbacks.clear()
