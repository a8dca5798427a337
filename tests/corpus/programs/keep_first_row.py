"""
verdict: leak
cause: python-objects
origin: user-code
holder: samples
rate: 1550
data: varying
why: the first text of every slice stays.
"""

samples = []


def consume(batch):
    samples.append(batch["text"][0])
