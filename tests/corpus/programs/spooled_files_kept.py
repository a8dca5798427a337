"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
holder: files
data: fixed
why: a temporary file that lives in memory up to a megabyte is filled with 30 KB at every slice and kept.
"""

import tempfile

files = []


def consume(batch):
    file = tempfile.SpooledTemporaryFile(max_size=1 << 20)  # noqa: SIM115
    file.write(b"x" * 30_000)
    files.append(file)
