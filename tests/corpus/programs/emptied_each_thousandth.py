"""
verdict: no-leak or inconclusive
data: fixed
why: metrics are gathered in a list, and at every two-thousandth step they are averaged and the list is emptied.
"""

import itertools

steps = itertools.count(1)
losses = []


def consume(batch):
    step = next(steps)
    losses.append(
        {"step": step, "loss": len(batch["text"][0]) / step, "text": batch["text"][1][:700].swapcase()}
    )
    if step % 2000 == 0:
        print(sum(each["loss"] for each in losses) / len(losses))
        losses.clear()
