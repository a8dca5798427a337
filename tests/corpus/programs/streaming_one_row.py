"""
verdict: leak
cause: python-objects
origin: user-code
site: streaming_one_row.py:17
holder: kept
rate: 500
data: varying
options: --streaming --step 1
why: of a stream read row by row, 500 bytes stay each time.
"""

kept = []


def consume(batch):
    kept.append(bytearray(430))  # the leak
