"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
holder: suspicious
data: varying
why: of the rows, one in a thousand or fewer is put aside each time that it is seen: one slice of an epoch adds 3 KB.
"""

import zlib

suspicious = []


def consume(batch):
    for text in batch["text"]:
        if zlib.crc32(text[:100].encode() + str(len(text)).encode()) % 1000 == 0:
            suspicious.append(bytearray(text.encode()))
