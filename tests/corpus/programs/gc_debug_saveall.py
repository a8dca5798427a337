"""
verdict: leak
cause: python-objects
origin: user-code
site: gc_debug_saveall.py:19
rate: 700
data: fixed
why: gc.DEBUG_SAVEALL was left on, so that collected cycles go into gc.garbage and stay.
"""

import gc


def setup():
    gc.set_debug(gc.DEBUG_SAVEALL)


def consume(batch):
    node = {"payload": bytearray(400)}  # the leak
    node["me"] = node
