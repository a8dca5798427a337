"""
verdict: leak
cause: shared-memory
origin: user-code
site: mmap_anonymous_shared.py:18
holder: kept
rate: 65536
data: fixed
why: mmap.mmap(-1) maps shared anonymous memory; each slice's 64 KB are written and kept.
"""

import mmap

kept = []


def consume(batch):
    block = mmap.mmap(-1, 64 * 1024)  # the leak
    block.write(b"x" * len(block))
    kept.append(block)
