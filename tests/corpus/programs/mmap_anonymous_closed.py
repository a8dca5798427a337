"""
verdict: no-leak
data: fixed
why: an anonymous mapping is made, written and closed at every slice.
"""

import mmap


def consume(batch):
    with mmap.mmap(-1, 64 * 1024) as block:
        block.write(b"x" * len(block))
