"""
verdict: no-leak
data: varying
fast: yes
why: temporary blocks of random sizes up to 4 MB, gone at the end of each call.
"""

import random

random_numbers = random.Random(7)


def consume(batch):
    blocks = [bytearray(random_numbers.randrange(200_000)) for _ in range(20)]
    sum(map(len, blocks))
