"""
verdict: no-leak
why: a stream with a shuffle buffer, whose buffer fills once and is then of one size.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

stream = dataset.to_iterable_dataset(num_shards=4).shuffle(seed=1, buffer_size=2000)
stream = stream.map(lambda row: {"length": len(row["text"])})
total = 0
for epoch in range(3):
    stream.set_epoch(epoch)
    for batch in stream.iter(batch_size=100):
        total += sum(batch["length"])
        time.sleep(0.015)
print(total)
