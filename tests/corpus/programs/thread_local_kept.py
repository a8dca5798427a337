"""
verdict: leak
cause: python-objects
origin: user-code
site: thread_local_kept.py:19
rate: 5000
data: fixed
why: a list in a threading.local gains 5 KB at each slice.
"""

import threading

local = threading.local()


def consume(batch):
    if not hasattr(local, "seen"):
        local.seen = []
    local.seen.append(bytearray(5000))  # the leak
