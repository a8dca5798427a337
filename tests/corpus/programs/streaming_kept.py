"""
verdict: leak
cause: python-objects
origin: user-code
site: streaming_kept.py:17
holder: kept
rate: 100000
data: fixed
options: --streaming
why: 100 KB stay at every slice of a stream.
"""

kept = []


def consume(batch):
    kept.append("".join(batch["text"])[:100_000])  # the leak
