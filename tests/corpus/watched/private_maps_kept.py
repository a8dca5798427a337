"""
verdict: leak or inconclusive
cause: anonymous-other
process: main
why: each shard gets a private map as scratch space, 40 KB of it are used, and none is closed: 12 MB in the run.
"""

import mmap
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

scratch = []
for step in range(300):
    start = step * 60 % len(dataset)
    text = "".join(dataset[start : start + 60]["text"]).encode()[:40_000]
    room = mmap.mmap(-1, 65_536, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    room.write(text.ljust(40_000))
    scratch.append(room)
    time.sleep(0.04)
print(len(scratch))
