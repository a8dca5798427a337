"""
verdict: leak
cause: shared-memory
site: segments_of_workers.py:21
libraries: torch
why: workers hand batches over in segments that they make by hand, and nobody unlinks them while it runs.
"""

import sys
import time
from multiprocessing import shared_memory

import datasets
from torch.utils.data import DataLoader

dataset = datasets.load_from_disk(sys.argv[1])


def collate(rows):
    text = "".join(row["text"] for row in rows).encode()
    segment = shared_memory.SharedMemory(create=True, size=len(text))  # the leak
    segment.buf[: len(text)] = text
    segment.close()
    return segment.name


total = 0
for name in DataLoader(dataset, batch_size=40, num_workers=2, collate_fn=collate):
    segment = shared_memory.SharedMemory(name)
    total += len(segment.buf)
    segment.close()
    time.sleep(0.022)
print(total)
