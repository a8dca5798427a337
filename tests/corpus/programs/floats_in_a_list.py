"""
verdict: leak or inconclusive
cause: python-objects or native-heap
origin: user-code
data: varying
why: a mean is kept at every slice: 24 bytes of a float and 8 of the list, which grows by an eighth now and then.
"""

history = []


def consume(batch):
    history.append(sum(map(len, batch["text"])) / len(batch["text"]))
