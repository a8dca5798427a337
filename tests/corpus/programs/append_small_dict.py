"""
verdict: leak
cause: python-objects
origin: user-code
site: append_small_dict.py:18
holder: metrics
rate: 270
data: varying
why: a dict of metrics stays at every slice, as training loops that never flush their history do.
"""

metrics = []


def consume(batch):
    lengths = [len(text) for text in batch["text"]]
    mean = sum(lengths) / len(lengths)
    metrics.append({"rows": len(lengths), "mean": mean, "longest": max(lengths)})  # the leak
