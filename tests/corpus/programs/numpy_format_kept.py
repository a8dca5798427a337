"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
holder: kept
data: numeric
options: --format numpy
libraries: numpy
why: with_format("numpy"): one column of each slice is kept, as a copy.
"""

import numpy as np

kept = []


def consume(batch):
    kept.append(np.array(batch["score"]))
