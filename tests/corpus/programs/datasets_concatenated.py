"""
verdict: leak
cause: arrow-pool or python-objects or native-heap
origin: user-code
holder: together
data: varying
why: a dataset is made of each slice and put behind those before: the table has one more chunk each time.
"""

import datasets

together = None


def consume(batch):
    global together
    part = datasets.Dataset.from_dict({"text": batch["text"][:50]})
    together = part if together is None else datasets.concatenate_datasets([together, part])
