"""
verdict: no-leak or inconclusive
data: varying
why: a reservoir of 4000 rows, three offered at each slice: it fills for 1333 slices, and rows are replaced then.
"""

import random

random_numbers = random.Random(11)
sample = []
seen = 0


def consume(batch):
    global seen
    for text in batch["text"][:3]:
        seen += 1
        row = {"text": text.upper(), "length": len(text) + 0.5}
        if len(sample) < 4000:
            sample.append(row)
        else:
            place = random_numbers.randrange(seen)
            if place < len(sample):
                sample[place] = row
