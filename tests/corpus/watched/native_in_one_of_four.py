"""
verdict: leak
cause: native-heap
process: DataLoader worker 2
libraries: torch
why: a C library keeps 600 bytes for each row, in the one worker of four that gets the files that need it.
"""

import ctypes
import sys
import time

import datasets
from torch.utils.data import DataLoader, Dataset, get_worker_info

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p


class Decoded(Dataset):
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if get_worker_info().id == 2:
            ctypes.memset(ctypes.c_void_p(libc.malloc(600)), 1, 600)
        return len(self.rows[index]["text"])


loader = DataLoader(
    Decoded(datasets.load_from_disk(sys.argv[1])),
    batch_size=50,
    num_workers=4,
    prefetch_factor=4,
    persistent_workers=True,
)
total = 0
for _ in range(4):
    for batch in loader:
        total += int(batch.sum())
        time.sleep(0.007)
print(total)
