"""
verdict: leak
cause: python-objects
origin: user-code
site: search_path_grows.py:18
holder: path
data: fixed
why: a folder of plugins is put on sys.path at each call, though it is there already: a string and a place each time.
"""

import sys
from pathlib import Path

here = Path(__file__).parent


def consume(batch):
    sys.path.append(str(here / "plugins"))  # the leak
    sum(len(text) for text in batch["text"])
