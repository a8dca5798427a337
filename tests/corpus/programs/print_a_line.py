"""
verdict: no-leak
data: fixed
fast: no
why: a line per slice is printed to standard output.
"""


def consume(batch):
    print("slice of", len(batch["text"]), "rows", flush=True)
