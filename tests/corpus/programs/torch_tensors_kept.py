"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: torch_tensors_kept.py:20
holder: kept
rate: 3800
data: numeric
libraries: torch
fast: yes
why: a tensor of each slice's scores is kept.
"""

import torch

kept = []


def consume(batch):
    kept.append(torch.tensor(batch["score"], dtype=torch.float64))  # the leak
