"""
verdict: no-leak
data: numeric
libraries: torch
fast: yes
why: a linear model is trained, with .item() where the loss is summed.
"""

import torch

model = torch.nn.Linear(16, 1)
optimizer = torch.optim.Adam(model.parameters())
total = 0.0


def consume(batch):
    global total
    rows = torch.tensor([row[:16] for row in batch["embedding"]])
    optimizer.zero_grad()
    loss = model(rows).mean() ** 2
    loss.backward()
    optimizer.step()
    total += loss.item()
