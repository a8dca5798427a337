"""
verdict: no-leak
data: fixed
why: each slice is streamed through an IterableDataset of its own, shuffled and batched.
"""

import datasets


def rows(texts):
    for text in texts:
        yield {"text": text}


def consume(batch):
    stream = datasets.IterableDataset.from_generator(rows, gen_kwargs={"texts": batch["text"][:20]})
    for _ in stream.shuffle(buffer_size=5, seed=1).batch(4):
        pass
