"""
verdict: no-leak
data: varying
why: strings are split, joined, replaced and counted.
"""


def consume(batch):
    for text in batch["text"]:
        words = text.lower().split()
        " ".join(reversed(words)).replace("a", "b").count("b")
