"""
verdict: leak
cause: python-objects
origin: user-code
site: transform_collects.py:23
holder: seen
data: fixed
why: a transform that is set on a part of the rows remembers the lengths of all that passes through it.
"""

from datasets import Dataset


class Collator:
    """Cuts texts, and remembers how long they were for a report that nobody asks for."""

    def __init__(self):
        self.seen = {}

    def __call__(self, batch):
        cut = [text[:32] for text in batch["text"]]
        number = len(self.seen)
        self.seen[number] = [float(len(text)) for text in batch["text"]]  # the leak
        return {"text": cut}


collator = Collator()


def consume(batch):
    part = Dataset.from_dict({"text": batch["text"][:32]}).with_transform(collator)
    for start in range(0, len(part), 16):
        part[start : start + 16]
