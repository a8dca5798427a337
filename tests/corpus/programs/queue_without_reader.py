"""
verdict: leak
cause: python-objects
origin: user-code
site: queue_without_reader.py:18
holder: results
rate: 3600
data: fixed
why: results are put into a queue that nobody reads.
"""

import queue

results = queue.Queue()


def consume(batch):
    results.put([float(len(text)) + 0.5 for text in batch["text"][:100]])  # the leak
