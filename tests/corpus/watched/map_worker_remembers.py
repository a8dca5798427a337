"""
verdict: leak
cause: python-objects
process: map worker
why: the function of a map with num_proc=2 keeps every text's words in a global of its worker.
"""

import sys
import tempfile
import time

import datasets

vocabulary = {}


def tokens(batch, indices):
    for index, text in zip(indices, batch["text"], strict=True):
        vocabulary[index] = text.split()
    time.sleep(0.05)
    return {"count": [len(vocabulary[index]) for index in indices]}


if __name__ == "__main__":
    dataset = datasets.load_from_disk(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        mapped = dataset.map(
            tokens,
            with_indices=True,
            batched=True,
            batch_size=50,
            num_proc=2,
            load_from_cache_file=False,
            cache_file_name=f"{folder}/mapped.arrow",
        )
        print(len(mapped))
