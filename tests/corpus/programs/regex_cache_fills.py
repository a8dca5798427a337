"""
verdict: no-leak
finding: bounded-cache or step
data: fixed
why: sixteen new patterns a slice; the re module forgets after a few hundred.
"""

import itertools
import re

serial = itertools.count()


def consume(batch):
    for _ in range(16):
        re.search(f"needle{next(serial)}", "a haystack")
