"""
verdict: no-leak
data: fixed
why: a log file gets 30 KB longer at every slice, and is mapped anew and read through: pages of a file, one mapping.
"""

import mmap
import os
import tempfile
from pathlib import Path

handle, path = tempfile.mkstemp(suffix=".log")
mapped = None


def consume(batch):
    global mapped
    os.write(handle, ("\n".join(batch["text"])).encode()[:30_000].ljust(30_000, b"\n"))
    if mapped is not None:
        mapped.close()
    mapped = mmap.mmap(handle, 0, prot=mmap.PROT_READ)
    for position in range(0, len(mapped), mmap.PAGESIZE):
        mapped[position]


def teardown():
    mapped.close()
    os.close(handle)
    Path(path).unlink()
