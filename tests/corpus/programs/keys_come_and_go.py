"""
verdict: no-leak
data: fixed
why: a dictionary gains a key and loses its oldest one at every slice: its table is laid anew and stays as large.
"""

import itertools

pending = {}
serial = itertools.count()


def consume(batch):
    number = next(serial)
    pending[number] = bytes(2000)
    pending.pop(number - 20, None)
