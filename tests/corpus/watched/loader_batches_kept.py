"""
verdict: leak
cause: shared-memory
libraries: torch
why: the main process keeps the batches that workers have sent through shared memory.
"""

import sys
import time

import datasets
import torch
from torch.utils.data import DataLoader

dataset = datasets.load_from_disk(sys.argv[1])


def collate(rows):
    return torch.tensor([[ord(letter) for letter in row["text"][:256]] for row in rows])


kept = []
loader = DataLoader(dataset, batch_size=32, collate_fn=collate, num_workers=2, persistent_workers=True)
torch.multiprocessing.set_sharing_strategy("file_system")
for _ in range(2):
    for number, batch in enumerate(loader):
        if number % 4 == 0:
            kept.append(batch)
        time.sleep(0.008)
print(len(kept))
