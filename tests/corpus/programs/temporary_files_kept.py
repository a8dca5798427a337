"""
verdict: leak
cause: file-mapping or python-objects
origin: user-code
holder: kept
data: fixed
why: a temporary file is opened at each slice and stays open.
"""

import tempfile

kept = []


def consume(batch):
    file = tempfile.TemporaryFile()  # noqa: SIM115 — it stays open
    file.write(b"x" * 1000)
    kept.append(file)
