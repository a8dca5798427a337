"""
verdict: no-leak
libraries: torch
why: a DataLoader with two spawned workers, which import everything again.
"""

import sys
import time

import datasets
import torch
from torch.utils.data import DataLoader

dataset = datasets.load_from_disk(sys.argv[1])


def collate(rows):
    return torch.tensor([[ord(letter) for letter in row["text"][:256]] for row in rows])


if __name__ == "__main__":
    loader = DataLoader(
        dataset,
        batch_size=32,
        collate_fn=collate,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )
    total = 0
    for _ in range(3):
        for batch in loader:
            total += int(batch[0, 0])
            time.sleep(0.008)
    print(total)
