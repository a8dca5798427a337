"""
verdict: no-leak or inconclusive
data: fixed
why: of each of fifty kinds the last 60,000 lengths stay, in arrays that are far from full.
"""

import itertools

import numpy as np

numbers = itertools.count()


class Lengths:
    def __init__(self):
        self.of_kind = {}

    def add(self, kind, texts):
        before = self.of_kind.get(kind, np.zeros(0))
        self.of_kind[kind] = np.concatenate([before, [float(len(text)) for text in texts]])
        self.of_kind[kind] = self.of_kind[kind][-60_000:]


lengths = Lengths()


def consume(batch):
    lengths.add(next(numbers) % 50, batch["text"][:60])
