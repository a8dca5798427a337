"""
verdict: no-leak
finding: bounded-cache or step
data: varying
fast: yes
why: a cache is keyed by the rows' content: the second epoch adds nothing.
"""

cache = {}


def consume(batch):
    key = hash(tuple(batch["text"]))
    if key not in cache:
        cache[key] = bytearray(20_000)
