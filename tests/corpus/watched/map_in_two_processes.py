"""
verdict: no-leak
why: Dataset.map with num_proc=2, several times over, its caches written beside the dataset.
"""

import sys
import tempfile
import time

import datasets


def tokens(batch):
    time.sleep(0.02)
    return {"tokens": [[len(word) for word in text.split()] for text in batch["text"]]}


if __name__ == "__main__":
    dataset = datasets.load_from_disk(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        for number in range(3):
            mapped = dataset.map(
                tokens,
                batched=True,
                batch_size=100,
                num_proc=2,
                load_from_cache_file=False,
                cache_file_name=f"{folder}/{number}.arrow",
            )
            print(len(mapped))
            del mapped
