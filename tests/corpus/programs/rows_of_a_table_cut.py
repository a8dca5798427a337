"""
verdict: no-leak or inconclusive
data: fixed
why: a table of the last 20,000 results, made anew of itself and one row more, cut by its places.
"""

import itertools

import pandas as pd

numbers = itertools.count()
results = pd.DataFrame({"number": [0], "text": ["none"]})


def consume(batch):
    global results
    row = pd.DataFrame({"number": [next(numbers)], "text": [batch["text"][0][:200]]})
    results = pd.concat([results, row]).iloc[-20_000:]
