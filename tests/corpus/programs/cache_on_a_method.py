"""
verdict: leak
cause: python-objects
origin: user-code
site: cache_on_a_method.py:18
holder: Tokenizer.encode
rate: 2300
data: fixed
why: an unbounded cache on a method keeps every tokenizer that a slice makes, and its answers.
"""

import functools


class Tokenizer:
    @functools.cache  # noqa: B019
    def encode(self, text):
        return bytes(2000)  # the leak


def consume(batch):
    Tokenizer().encode("a")
