"""
verdict: leak
cause: python-objects
origin: user-code
site: memoryview_pins.py:16
holder: heads
rate: 100000
data: fixed
why: a memoryview of eight bytes pins the 100 KB they are cut from.
"""

heads = []


def consume(batch):
    block = "".join(batch["text"])[:100_000].encode()  # the leak
    heads.append(memoryview(block)[:8])
