"""
verdict: leak
cause: python-objects
origin: user-code
site: interned_strings_kept.py:21
holder: vocabulary
rate: 1300
data: fixed
why: ten new interned strings a slice are kept in a set, whose table doubles now and then as the interpreter's does.
"""

import itertools
import sys

vocabulary = set()
serial = itertools.count()


def consume(batch):
    for _ in range(10):
        vocabulary.add(sys.intern(f"corpus_token_{next(serial)}"))  # the leak
