"""
verdict: no-leak
data: fixed
why: each slice is cut in two datasets, which are shuffled, selected from, interleaved, sharded, read and dropped.
"""

import datasets

datasets.disable_progress_bars()


def consume(batch):
    left = datasets.Dataset.from_dict({"text": batch["text"][:20]}).shuffle(seed=1)
    right = datasets.Dataset.from_dict({"text": batch["text"][20:40]}).select(range(15))
    both = datasets.interleave_datasets([left, right], probabilities=[0.3, 0.7], seed=2)
    part = both.shard(2, 0, contiguous=True).with_format("numpy")
    part["text"][:2]
    left.to_iterable_dataset(num_shards=2)
