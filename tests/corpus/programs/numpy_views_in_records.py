"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: numpy_views_in_records.py:19
holder: records
rate: 160000
data: fixed
libraries: numpy
why: a dictionary a slice holds a view of eight bytes, which pins its base of 160 KB.
"""

import numpy as np

records = []


def consume(batch):
    features = np.ones(20_000)  # the leak
    records.append({"step": len(records), "first": features[:1]})
