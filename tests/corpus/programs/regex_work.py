"""
verdict: no-leak
data: varying
why: one compiled expression over all rows.
"""

import re

word = re.compile(r"\b(\w+)ata\b")


def consume(batch):
    for text in batch["text"]:
        word.sub(r"<\1>", text)
