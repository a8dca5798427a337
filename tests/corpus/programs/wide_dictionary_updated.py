"""
verdict: no-leak
finding: bounded-cache or step
data: varying
why: statistics of 3000 words are updated in place: counters, sums and the last value, all bounded by the words.
"""

import random

random_numbers = random.Random(47)
statistics = {}


def consume(batch):
    for _ in range(400):
        word = f"word-{random_numbers.randrange(3000)}"
        entry = statistics.setdefault(word, {"count": 0, "sum": 0.0, "last": b""})
        entry["count"] += 1
        entry["sum"] += 0.5
        entry["last"] = bytes(100)
