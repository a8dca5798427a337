"""
verdict: leak
cause: python-objects
origin: user-code
site: one_row_in_a_hundred.py:19
holder: suspicious
data: varying
why: of the rows, one in a hundred is put aside each time that it is seen: most slices add nothing.
"""

import zlib

suspicious = []


def consume(batch):
    for text in batch["text"]:
        if zlib.crc32(text[:100].encode() + str(len(text)).encode()) % 100 == 0:
            suspicious.append(bytearray(text.encode()))  # the leak
