"""
verdict: no-leak
data: numeric
why: a histogram with fixed bins.
"""

bins = [0] * 64


def consume(batch):
    for label in batch["label"]:
        bins[label % len(bins)] += 1
