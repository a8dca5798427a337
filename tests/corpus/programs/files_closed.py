"""
verdict: no-leak
data: varying
why: a temporary file is written, read and removed at every slice.
"""

import tempfile


def consume(batch):
    with tempfile.TemporaryFile("w+") as file:
        file.writelines(batch["text"])
        file.seek(0)
        file.read()
