"""
verdict: leak
cause: file-mapping
origin: user-code
site: descriptors_raw.py:14
data: fixed
why: a descriptor is opened at every slice and forgotten: what it costs is in the kernel.
"""

import os


def consume(batch):
    os.open(os.devnull, os.O_RDONLY)  # the leak
