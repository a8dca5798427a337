"""
verdict: no-leak
libraries: torch
why: two workers that are made anew for each of many short epochs.
"""

import sys
import time

import datasets
import torch
from torch.utils.data import DataLoader

dataset = datasets.load_from_disk(sys.argv[1])


def collate(rows):
    return torch.tensor([[ord(letter) for letter in row["text"][:256]] for row in rows])


total = 0
for epoch in range(14):
    rows = dataset.select(range(epoch * 1000, epoch * 1000 + 2000))
    for batch in DataLoader(rows, batch_size=32, collate_fn=collate, num_workers=2):
        total += int(batch[0, 0])
        time.sleep(0.008)
print(total)
