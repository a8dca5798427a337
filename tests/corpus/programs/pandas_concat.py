"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: pandas_concat.py:19
rate: 3200
data: numeric
libraries: pandas
why: a frame grows by each slice's scores.
"""

import pandas as pd

scores = pd.DataFrame({"score": [0.0]})


def consume(batch):
    global scores
    scores = pd.concat([scores, pd.DataFrame({"score": batch["score"]})], ignore_index=True)  # the leak
