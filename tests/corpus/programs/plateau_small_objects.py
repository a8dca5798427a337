"""
verdict: no-leak
data: varying
why: one object of 64 bytes a slice for 100 slices, then no more.
"""

kept = []


def consume(batch):
    if len(kept) < 100:
        kept.append(len(batch["text"]).to_bytes(31, "little"))
