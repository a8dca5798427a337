"""
verdict: leak
cause: python-objects
process: DataLoader worker
libraries: torch
why: every worker writes down the rows that it has read, in workers that stay.
"""

import sys
import time

import datasets
import torch
from torch.utils.data import DataLoader

dataset = datasets.load_from_disk(sys.argv[1])


def collate(rows):
    return torch.tensor([[ord(letter) for letter in row["text"][:256]] for row in rows])


history = []


def note(rows):
    history.append([dict(row) for row in rows])
    return collate(rows)


loader = DataLoader(dataset, batch_size=32, collate_fn=note, num_workers=2, persistent_workers=True)
total = 0
for _ in range(3):
    for batch in loader:
        total += int(batch[0, 0])
        time.sleep(0.006)
print(total)
