"""
verdict: leak
cause: shared-memory
origin: user-code
site: shared_memory_kept.py:20
holder: blocks
rate: 65536
data: fixed
why: a shared memory block of 64 KB is made at every slice, written and kept.
"""

import os
from multiprocessing import shared_memory

blocks = []


def consume(batch):
    name = f"hfmemdebug-corpus-{os.getpid()}-{len(blocks)}"
    block = shared_memory.SharedMemory(name, create=True, size=64 * 1024)  # the leak
    block.buf[:] = bytes(block.size)
    blocks.append(block)


def teardown():
    for block in blocks:
        block.close()
        block.unlink()
