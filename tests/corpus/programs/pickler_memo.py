"""
verdict: leak
cause: python-objects
origin: user-code
site: pickler_memo.py:30
data: fixed
why: one Pickler writes all records; its memo keeps each object that it has written.
"""

import itertools
import pickle


class Counting:
    """A sink that only counts."""

    written = 0

    def write(self, data):
        self.written += len(data)
        return len(data)


pickler = pickle.Pickler(Counting())
steps = itertools.count()


def consume(batch):
    lengths = sorted(len(text) for text in batch["text"])
    quantiles = [[length] * 20 for length in lengths[::80]]  # the leak
    pickler.dump({"step": next(steps), "quantiles": quantiles})
