"""
verdict: no-leak or inconclusive
data: fixed
why: the last 1800 lines of a log are kept; what is older is cut off after each, whether there is any or not.
"""

lines = []


def consume(batch):
    global lines
    lines.append(f"{len(lines)}: {batch['text'][0][:900].upper()}")
    lines = lines[-1800:]
