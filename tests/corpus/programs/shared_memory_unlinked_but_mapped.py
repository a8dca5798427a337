"""
verdict: leak
cause: shared-memory
origin: user-code
site: shared_memory_unlinked_but_mapped.py:20
holder: blocks
rate: 65536
data: fixed
why: shared memory blocks are unlinked at once but stay mapped: /dev/shm shows nothing, the memory is held.
"""

import os
from multiprocessing import shared_memory

blocks = []


def consume(batch):
    name = f"hfmemdebug-corpus-{os.getpid()}-{len(blocks)}"
    block = shared_memory.SharedMemory(name, create=True, size=64 * 1024)  # the leak
    block.buf[:] = bytes(block.size)
    block.unlink()
    blocks.append(block)
