"""
verdict: no-leak
data: varying
why: hashing, compression, base64, all thrown away.
"""

import base64
import hashlib
import zlib


def consume(batch):
    block = "".join(batch["text"]).encode()
    hashlib.sha256(block).hexdigest()
    zlib.decompress(zlib.compress(block, 1))
    base64.b64encode(block)
