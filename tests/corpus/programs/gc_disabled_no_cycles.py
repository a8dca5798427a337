"""
verdict: no-leak
data: varying
why: the collector is off, but nothing here needs it.
"""

import gc


def setup():
    gc.disable()


def consume(batch):
    counts = {}
    for text in batch["text"]:
        counts[len(text)] = counts.get(len(text), 0) + 1
