"""
verdict: leak
cause: shared-memory
origin: user-code
site: memfd_kept.py:15
rate: 65536
data: fixed
why: a memfd of 64 KB is written at every slice and left open: memory behind a descriptor that nothing maps.
"""

import os


def consume(batch):
    descriptor = os.memfd_create("corpus")  # the leak
    os.write(descriptor, bytes(64 * 1024))
