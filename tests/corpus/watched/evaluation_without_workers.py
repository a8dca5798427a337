"""
verdict: leak or inconclusive
cause: python-objects
libraries: torch
why: when the loader's workers have gone, the last quarter of the run evaluates in the main process and keeps all.
"""

import sys
import time

import datasets
from torch.utils.data import DataLoader

dataset = datasets.load_from_disk(sys.argv[1])


def collate(rows):
    return [len(row["text"]) for row in rows]


total = 0
loader = DataLoader(dataset, batch_size=50, num_workers=2, collate_fn=collate, persistent_workers=True)
for _ in range(2):
    for batch in loader:
        total += sum(batch)
        time.sleep(0.013)
del loader

answers = []
for step in range(300):
    for text in dataset[step * 20 : step * 20 + 20]["text"]:
        answers.append({"text": text[:120] + str(step), "answer": text[-100:]})
    time.sleep(0.01)
print(total, len(answers))
