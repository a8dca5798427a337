"""
verdict: no-leak
libraries: torch
why: a DataLoader that loads in the main process, and a small model that is trained.
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
model = torch.nn.Linear(256, 16)
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(2):
    for batch in DataLoader(dataset, batch_size=32, collate_fn=collate):
        loss = model(batch.float() / 128).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        time.sleep(0.004)
    print(epoch, float(loss))
