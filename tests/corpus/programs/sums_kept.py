"""
verdict: no-leak
data: varying
fast: no
why: rows of varying length, of which sums are kept in a few scalars.
"""

rows = 0
letters = 0
longest = 0


def consume(batch):
    global rows, letters, longest
    for text in batch["text"]:
        rows += 1
        letters += len(text)
        longest = max(longest, len(text))
