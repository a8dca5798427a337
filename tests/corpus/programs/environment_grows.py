"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
holder: os
data: fixed
why: an environment variable with a new name is set at every slice, in Python's dictionary and in the C library's.
"""

import itertools
import os

serial = itertools.count()


def consume(batch):
    os.environ[f"CORPUS_STEP_{next(serial)}"] = "x" * 400
