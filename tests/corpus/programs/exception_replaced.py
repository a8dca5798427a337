"""
verdict: no-leak
data: varying
why: only the last exception is kept, in a global that is replaced: one slice, no more.
"""

last = None


def consume(batch):
    global last
    try:
        int(batch["text"][0])
    except ValueError as error:
        last = error
