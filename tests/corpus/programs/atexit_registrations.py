"""
verdict: leak
cause: python-objects
origin: user-code
site: atexit_registrations.py:19
rate: 1150
data: fixed
why: a function with an argument is registered to run at exit at every call.
"""

import atexit


def clean_up(scratch):
    scratch.clear()


def consume(batch):
    atexit.register(clean_up, bytearray(1000))  # the leak
