"""
verdict: leak
cause: anonymous-other
origin: user-code
site: mmap_anonymous_private.py:18
holder: kept
rate: 65536
data: fixed
why: private anonymous mappings of 64 KB are written and kept: no allocator knows them.
"""

import mmap

kept = []


def consume(batch):
    block = mmap.mmap(-1, 64 * 1024, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # the leak
    block.write(b"x" * len(block))
    kept.append(block)
