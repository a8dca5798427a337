"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: compressors_kept.py:18
holder: kept
rate: 268000
data: fixed
why: a zlib compressor, 260 KB of native state, is kept at every slice.
"""

import zlib

kept = []


def consume(batch):
    compressor = zlib.compressobj()  # the leak
    compressor.compress(batch["text"][0].encode())
    kept.append(compressor)
