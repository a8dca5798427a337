"""
verdict: no-leak
data: fixed
why: the program turned the collector off and runs it by hand at every 16th slice.
"""

import gc
import itertools

calls = itertools.count(1)


def setup():
    gc.disable()


def consume(batch):
    for _ in range(200):
        node = {"payload": bytearray(100)}
        node["me"] = node
    if next(calls) % 16 == 0:
        gc.collect()
