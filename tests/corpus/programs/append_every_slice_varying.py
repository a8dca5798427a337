"""
verdict: leak
cause: python-objects
origin: user-code
holder: kept
rate: 630000
data: varying
why: every slice is appended to a list, rows of varying length.
"""

kept = []


def consume(batch):
    kept.append(batch["text"])
