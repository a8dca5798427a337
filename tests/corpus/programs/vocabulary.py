"""
verdict: no-leak
data: varying
why: a counter of text lengths: its keys are bounded by the data.
"""

import collections

lengths = collections.Counter()


def consume(batch):
    lengths.update(len(text) for text in batch["text"])
