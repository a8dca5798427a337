"""
verdict: leak
cause: python-objects or native-heap
site: loader_keeps_losses.py:31, loader_keeps_losses.py:35
holder: losses
process: main
libraries: torch
why: losses are summed up as tensors that keep their graphs, the oldest mistake with PyTorch.
"""

import sys
import time

import datasets
import torch
from torch.utils.data import DataLoader

dataset = datasets.load_from_disk(sys.argv[1])


def collate(rows):
    return torch.tensor([[ord(letter) for letter in row["text"][:256]] for row in rows])


torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(256, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
losses = []
for _ in range(2):
    for batch in DataLoader(dataset, batch_size=32, collate_fn=collate, num_workers=2):
        loss = model(batch.float() / 128).pow(2).mean()  # the leak
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss)  # the leak
        time.sleep(0.006)
print(len(losses))
