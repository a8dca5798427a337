"""
verdict: no-leak
data: fixed
why: each slice becomes a Dataset, which map and filter go over.
"""

import datasets

datasets.disable_progress_bars()


def consume(batch):
    made = datasets.Dataset.from_dict({"text": batch["text"][:20]})
    made.map(lambda row: {"length": len(row["text"])}).filter(lambda row: row["length"] > 10)
