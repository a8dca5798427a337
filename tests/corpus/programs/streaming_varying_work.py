"""
verdict: no-leak
data: varying
options: --streaming
why: a stream of rows of varying length is counted.
"""


def consume(batch):
    max(len(text) for text in batch["text"])
