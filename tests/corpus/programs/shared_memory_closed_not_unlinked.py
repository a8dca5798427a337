"""
verdict: leak
cause: shared-memory
origin: user-code
site: shared_memory_closed_not_unlinked.py:20
rate: 65536
data: fixed
why: shared memory blocks are closed but never unlinked: nothing is mapped, the memory is gone all the same.
"""

import itertools
import os
from multiprocessing import shared_memory

PREFIX = f"hfmemdebug-corpus-{os.getpid()}-"
calls = itertools.count()


def consume(batch):
    block = shared_memory.SharedMemory(f"{PREFIX}{next(calls)}", create=True, size=64 * 1024)  # the leak
    block.buf[:] = bytes(block.size)
    block.close()


def teardown():
    for number in range(next(calls)):
        block = shared_memory.SharedMemory(f"{PREFIX}{number}")
        block.close()
        block.unlink()
