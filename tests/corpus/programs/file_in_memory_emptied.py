"""
verdict: no-leak or inconclusive
data: fixed
why: a file in memory is begun anew once it has three million bytes; it is far from that.
"""

import io
import itertools

numbers = itertools.count()
shard = io.BytesIO()


def consume(batch):
    global shard
    text = batch["text"][0][:300] + str(next(numbers)) + "\n"
    shard.write(text.encode())
    if shard.tell() > 3_000_000:
        shard = io.BytesIO()
