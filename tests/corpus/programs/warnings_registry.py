"""
verdict: leak
cause: python-objects
origin: user-code
site: warnings_registry.py:23
rate: 240
data: fixed
why: each warning has a text of its own, and each text is remembered in __warningregistry__.
"""

import itertools
import warnings

calls = itertools.count(1)


def setup():
    warnings.simplefilter("default")
    warnings.showwarning = lambda *args, **kwargs: None


def consume(batch):
    warnings.warn(f"step {next(calls)} took longer than it should have", stacklevel=1)  # the leak
