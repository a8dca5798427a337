"""
verdict: no-leak or inconclusive
data: fixed
why: a list of two thousand texts, whose limit is the default of a parameter: what is over goes.
"""


def push(item, into, limit=2 * 1000):
    into.append(item)
    if len(into) > limit:
        into.pop(0)


history = []


def consume(batch):
    push(batch["text"][0][:600] * 3, history)
