"""
verdict: no-leak
data: fixed
why: Arrow's pool is another one at every other slice, and its tables of the last six slices are all that is kept.
"""

import collections
import itertools

import pyarrow as pa

numbers = itertools.count()
pools = [pa.system_memory_pool(), pa.default_memory_pool()]
window = collections.deque(maxlen=6)


def consume(batch):
    pa.set_memory_pool(pools[next(numbers) % 2])
    window.append(pa.table({"text": batch["text"], "length": [len(text) for text in batch["text"]]}))
