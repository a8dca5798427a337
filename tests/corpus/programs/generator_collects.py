"""
verdict: leak
cause: python-objects
origin: user-code
site: generator_collects.py:16
holder: the generator collect
rate: 560
data: fixed
why: a generator that is sent values keeps them all in a local list.
"""


def collect():
    seen = []
    while True:
        seen.append(bytes(500 + len((yield))))  # the leak


collector = collect()
next(collector)


def consume(batch):
    collector.send(b"12345678")
