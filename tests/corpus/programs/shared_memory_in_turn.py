"""
verdict: no-leak
data: fixed
why: twelve blocks of shared memory are in use; the oldest is closed and unlinked when a new one is made.
"""

import collections
from multiprocessing import shared_memory

blocks = collections.deque()


def drop():
    oldest = blocks.popleft()
    oldest.close()
    oldest.unlink()


def consume(batch):
    block = shared_memory.SharedMemory(create=True, size=128 * 1024)
    block.buf[:] = b"x" * block.size
    blocks.append(block)
    if len(blocks) > 12:
        drop()


def teardown():
    while blocks:
        drop()
