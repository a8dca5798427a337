"""
verdict: no-leak
data: fixed
why: a shared memory block is made, written, closed and unlinked at every slice.
"""

import os
from multiprocessing import shared_memory


def consume(batch):
    block = shared_memory.SharedMemory(f"hfmemdebug-corpus-{os.getpid()}", create=True, size=64 * 1024)
    block.buf[:] = bytes(block.size)
    block.close()
    block.unlink()
