"""
verdict: no-leak
data: varying
why: texts are encoded, decoded and normalised.
"""

import unicodedata


def consume(batch):
    for text in batch["text"]:
        unicodedata.normalize("NFKD", text.encode("utf-16").decode("utf-16"))
