"""
verdict: no-leak
data: fixed
why: examples cache what they compute, know their batch, and are in a WeakSet: the collector frees all of them.
"""

import functools
import weakref

alive = weakref.WeakSet()


class Batch:
    def __init__(self, texts):
        self.examples = [Example(self, text) for text in texts]
        alive.add(self)


class Example:
    def __init__(self, batch, text):
        self.batch = batch
        self.text = text
        alive.add(self)

    @functools.cached_property
    def tokens(self):
        return self.text.split()

    @functools.cached_property
    def rank(self):
        return sorted(self.batch.examples, key=lambda example: len(example.tokens)).index(self)

    def __del__(self):
        self.text = None


def consume(batch):
    assert Batch(batch["text"][:30]).examples[0].rank >= 0
