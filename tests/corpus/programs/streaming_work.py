"""
verdict: no-leak
data: fixed
options: --streaming
why: a stream is counted, nothing is kept.
"""

total = 0


def consume(batch):
    global total
    total += sum(map(len, batch["text"]))
