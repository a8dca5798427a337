"""
verdict: leak
cause: python-objects
origin: user-code
site: starts_when_rows_repeat.py:18
holder: duplicates
data: varying
why: rows that were seen before are recorded as duplicates, each time anew: the leak starts with the second epoch.
"""

seen = set()
duplicates = []


def consume(batch):
    key = hash(tuple(len(text) for text in batch["text"]))
    if key in seen:
        duplicates.append([key, bytearray(500)])  # the leak
    seen.add(key)
