"""
verdict: leak
cause: python-objects
origin: user-code
holder: last
data: fixed
why: each error is raised from the one before, which makes a chain without an end.
"""

last = None


def fail(rows):
    raise RuntimeError(f"failed on {rows} rows") from last


def consume(batch):
    global last
    rows = len(batch["text"])
    del batch
    try:
        fail(rows)
    except RuntimeError as error:
        last = error
