"""
verdict: leak
cause: shared-memory
site: segments_not_unlinked.py:20
why: each batch goes into a segment of shared memory that is closed and never unlinked.
"""

import sys
import time
from multiprocessing import shared_memory

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


names = []
for step in range(500):
    text = "".join(dataset[step * 40 : step * 40 + 40]["text"]).encode()
    segment = shared_memory.SharedMemory(create=True, size=len(text))  # the leak
    segment.buf[:] = text
    segment.close()
    names.append(segment.name)
    time.sleep(0.02)
for name in names:
    shared_memory.SharedMemory(name).unlink()
