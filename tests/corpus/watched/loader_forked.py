"""
verdict: no-leak
libraries: torch
why: a DataLoader over a mapped dataset with four forked workers that stay.
"""

import sys
import time

import datasets
import torch
from torch.utils.data import DataLoader

dataset = datasets.load_from_disk(sys.argv[1])


def collate(rows):
    return torch.tensor([[ord(letter) for letter in row["text"][:256]] for row in rows])


loader = DataLoader(dataset, batch_size=32, collate_fn=collate, num_workers=4, persistent_workers=True)
total = 0
for _ in range(3):
    for batch in loader:
        total += int(batch[0, 0])
        time.sleep(0.006)
print(total)
