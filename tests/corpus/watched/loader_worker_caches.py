"""
verdict: leak
cause: python-objects
site: loader_worker_caches.py:28
process: DataLoader worker
libraries: torch
why: in one worker of three the dataset keeps the texts that it has cut, under keys that never come again.
"""

import itertools
import sys
import time

import datasets
from torch.utils.data import DataLoader, Dataset, get_worker_info


class Cut(Dataset):
    def __init__(self, rows):
        self.rows, self.seen, self.calls = rows, {}, itertools.count()

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        text = self.rows[index]["text"]
        if get_worker_info().id == 1:
            self.seen[next(self.calls)] = text[: 200 + index % 7]  # the leak
        return len(text)


loader = DataLoader(
    Cut(datasets.load_from_disk(sys.argv[1])), batch_size=50, num_workers=3, persistent_workers=True
)
total = 0
for _ in range(5):
    for batch in loader:
        total += int(batch.sum())
        time.sleep(0.007)
print(total)
