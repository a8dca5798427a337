"""
verdict: leak
cause: python-objects
origin: user-code
holder: errors
rate: 630000
data: fixed
fast: no
why: exceptions are kept with their tracebacks, whose frames hold the slice.
"""

errors = []


def parse(batch):
    raise ValueError(f"{len(batch['text'])} rows, none of them a number")


def consume(batch):
    try:
        parse(batch)
    except ValueError as error:
        errors.append(error)
