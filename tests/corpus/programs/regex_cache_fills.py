"""
verdict: no-leak
data: fixed
why: sixteen new patterns a slice; the re module forgets after a few hundred, which are 0.2 MB: nothing to report.
"""

import itertools
import re

serial = itertools.count()


def consume(batch):
    for _ in range(16):
        re.search(f"needle{next(serial)}", "a haystack")
