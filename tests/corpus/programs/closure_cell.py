"""
verdict: leak
cause: python-objects
origin: user-code
site: closure_cell.py:20
holder: seen
rate: 580
data: fixed
why: a closure's cell holds a list that grows at every call.
"""


def make():
    seen = []
    total = 0

    def remember(rows):
        nonlocal total
        total += rows
        seen.append(bytearray(500 + total % 2))  # the leak

    return remember


remember = make()


def consume(batch):
    remember(len(batch["text"]))
