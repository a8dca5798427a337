"""
verdict: no-leak
data: varying
why: a small dataset is made of each slice, mapped in memory and dropped: its fingerprints and tables go with it.
"""

import datasets

datasets.disable_progress_bars()


def measure(row):
    return {"length": len(row["text"])}


def consume(batch):
    part = datasets.Dataset.from_dict({"text": batch["text"][:20]})
    lengths = part.map(measure, keep_in_memory=True, load_from_cache_file=False)["length"]
    assert sum(lengths) > 0
