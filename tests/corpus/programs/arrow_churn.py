"""
verdict: no-leak
data: varying
why: Arrow tables of very different sizes come and go, five of them alive at any time.
"""

import collections
import random

import pyarrow as pa

random_numbers = random.Random(5)
alive = collections.deque(maxlen=5)


def consume(batch):
    rows = random_numbers.randrange(1, len(batch["text"]))
    alive.append(pa.table({"text": batch["text"][:rows]}))
