"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: bytesio_grows.py:17
rate: 10000
data: fixed
why: a BytesIO is written to and never emptied; it grows in steps of an eighth.
"""

import io

log = io.BytesIO()


def consume(batch):
    log.write(batch["text"][0].encode()[:1000] * 10)  # the leak
