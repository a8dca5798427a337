"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: torch_loss_graph.py:19, torch_loss_graph.py:20
data: numeric
libraries: torch
why: the losses are summed without .item(), so that the sum holds the graph of every step.
"""

import torch

weight = torch.ones(400, dtype=torch.float64, requires_grad=True)
total = torch.zeros((), dtype=torch.float64)


def consume(batch):
    global total
    scores = torch.tensor(batch["score"], dtype=torch.float64)  # the leak
    total = total + (weight[: len(scores)] * scores).sum()  # the leak
